/**
 * Several labels a row, or none: each label is a decision of its own, and a label is only given together with its parents.
 *
 *     npx tsx examples/multi-label.ts
 */
import { datasetOf, predict, train } from 'espalier'

const about: Record<string, string[]> = {
  'food > taste': [
    'the soup was delicious',
    'everything tasted bland',
    'the sauce is far too salty',
    'wonderful flavours',
  ],
  'food > portion': [
    'the portions are tiny',
    'we could not finish our huge portions',
    'small plates',
    'generous portions',
  ],
  'service > speed': [
    'we waited an hour for the food',
    'a long wait',
    'a slow kitchen',
    'they were quick, no wait at all',
  ],
  'service > staff': [
    'a friendly waiter',
    'the staff was rude',
    'our waiter smiled all evening',
    'the waiter did not greet us',
  ],
}
const single = Object.entries(about).flatMap(([label, texts]) => texts.map((text) => ({ text, labels: [label] })))
const double = single.flatMap((first) =>
  single
    .filter((second) => first.labels[0]! < second.labels[0]!)
    .map((second) => ({ text: `${first.text}, and ${second.text}`, labels: [...first.labels, ...second.labels] })),
)
const neither = [
  'we were there on a tuesday',
  'it is near the station',
  'my brother had a birthday',
  'see you next year',
]
const data = datasetOf([...single, ...double, ...neither.map((text) => ({ text, labels: [] }))])

const model = await train(data, { seed: 1 })
for (const text of [
  'the soup was salty, and the waiter was rude',
  'delicious flavours',
  'a long wait, and the portions are tiny',
]) {
  const [answer] = await predict(model, [text])
  const labels = answer!.paths.map(({ path, confidence }) => `${path.join(' › ')} (${confidence.at(-1)!.toFixed(2)})`)
  console.log(`${text} → ${labels.join(', ') || 'no label'}`)
}
