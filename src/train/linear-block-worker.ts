/** Worker thread that solves blocks; see linear-blocks.ts. */
import { serveJob } from '../util/worker.ts'
import { type BlocksJob, type SolvedBlocks, solveBlocks } from './linear-blocks.ts'

serveJob<BlocksJob, SolvedBlocks>(solveBlocks)
