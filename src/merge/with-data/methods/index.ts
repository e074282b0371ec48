/** The methods of merges with data. */
export { adamerging } from './adamerging.ts'
export { fisher } from './fisher.ts'
export { regmean } from './regmean.ts'
export { regmeanPlusplus } from './regmean-plusplus.ts'
