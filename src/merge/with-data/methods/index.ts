/** The methods of merges with data. */
export { adamerging } from './adamerging.ts'
export { apl } from './apl.ts'
export { fisher } from './fisher.ts'
export { regmean } from './regmean.ts'
export { regmeanPlusplus } from './regmean-plusplus.ts'
