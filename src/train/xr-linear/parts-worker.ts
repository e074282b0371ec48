/** Worker thread that trains parts of a tree; see node-parts.ts. */
import { serveJob } from '../../util/worker.ts'
import { type PartsJob, solveParts } from './node-parts.ts'
import type { TrainedNode } from './node-solver.ts'

serveJob<PartsJob, TrainedNode[]>(solveParts)
