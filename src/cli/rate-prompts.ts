/** `espalier evaluate --hp-score`: how elaborate a prompt each row needs, in place of the metrics. */
import { loadClassifier } from '../classify/load-classifier.ts'
import { rateDataset } from '../classify/rate.ts'
import { readDataset } from '../data/dataset.ts'
import { InputError } from '../util/errors.ts'
import { costLine } from './cost-line.ts'
import { type DataFlags, readOptionsOf, remarksOnly } from './data-options.ts'
import type { Session } from './session.ts'

export interface RateFlags extends DataFlags {
  hpScore?: 'manual' | 'adaptive'
  hpPenalty?: number
  hpRows?: number
}

export async function ratePrompts(folder: string, source: string, flags: RateFlags, session: Session): Promise<void> {
  const { hpScore: framework, hpPenalty: penalty, hpRows: rows } = flags
  if (penalty === undefined)
    throw new InputError('USAGE', '--hp-score needs --hp-penalty: how difficult people find the data', {
      help: 'published: boolq 1.71, csqa 2.52, iwslt 1.92, samsum 2.23, gsm8k 2.14, mmlu 3.03, humaneval 4.68',
    })
  const data = await readDataset(source, { ...readOptionsOf(flags), requireLabels: true, ...remarksOnly(session.run) })
  const model = await loadClassifier(folder, session.run)
  const adaptive = framework === 'adaptive'
  const rated = await rateDataset(model, data, { ...session.run, penalty, adaptive, ...(rows ? { rows } : {}) })
  session.settle()
  const usage = model.scorer.usage!()
  if (session.json) return session.printJson({ framework, penalty, ...rated, usage })
  await session.print(
    `HP-Score      ${rated.score.toFixed(3)} (${framework}, ${rated.items.length} rows; 1 is the plainest prompt)`,
    ...rated.levels.map((count, i) => `level ${i + 1}       ${count}`),
    `unsolved      ${rated.items.filter(({ level }) => level === undefined).length}`,
  )
  session.remark(costLine(usage))
}
