/** The methods of merges with data. */
export { fisher } from './fisher.ts'
export { regmean } from './regmean.ts'
export { regmeanPlusplus } from './regmean-plusplus.ts'
