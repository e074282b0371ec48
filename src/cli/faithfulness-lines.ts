/** Faithfulness of explanations as lines for a terminal: the method beside random attributions. */
import type { Faithfulness, FaithfulnessScores } from '../explain/faithfulness.ts'
import { formatScore, plural } from './format.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

const measures: [keyof FaithfulnessScores, string][] = [
  ['comprehensiveness', 'comprehensiveness, high is good'],
  ['sufficiency', 'sufficiency, low is good'],
  ['deletionAuc', 'deletion AUC, low is good'],
]

export function faithfulnessLines({ method, texts, removals }: Faithfulness, { paint, columns }: Terminal): string[] {
  return removals.flatMap(({ removal, probability, logOdds }) => [
    paint(
      'dim',
      `explanations by ${method}, ${plural(texts, 'row')}, tokens ${removal === 'mask' ? 'masked' : 'deleted'}`,
    ),
    ...table(
      [
        { head: '' },
        { head: 'probability', align: 'right' },
        { head: 'random', align: 'right' },
        { head: 'log-odds', align: 'right' },
        { head: 'random', align: 'right' },
      ],
      measures.map(([key, name]) => [
        `  ${name}`,
        ...[probability.method, probability.random, logOdds.method, logOdds.random].map((scores) =>
          formatScore(scores[key]),
        ),
      ]),
      columns,
    ),
  ])
}
