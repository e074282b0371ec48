export { mcSmoe, mSmoe } from './m-smoe.ts'
export { subMoe } from './sub-moe.ts'
