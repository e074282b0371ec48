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
    'we could not finish our huge plates',
    'too little on the plate',
    'generous helpings',
  ],
  'service > speed': ['we waited an hour', 'the food came at once', 'slow kitchen', 'quick to take our order'],
  'service > staff': [
    'a friendly waiter',
    'the staff was rude',
    'our waitress smiled all evening',
    'nobody greeted us',
  ],
}
const single = Object.entries(about).flatMap(([label, texts]) => texts.map((text) => ({ text, labels: [label] })))
const double = single.flatMap((first, index) => {
  const second = single[(index * 5 + 3) % single.length]!
  return first.labels[0] === second.labels[0]
    ? []
    : [{ text: `${first.text}, and ${second.text}`, labels: [...first.labels, ...second.labels] }]
})
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
  'slow kitchen, and tiny portions',
]) {
  const [answer] = await predict(model, [text])
  const labels = answer!.paths.map(({ path, confidence }) => `${path.join(' › ')} (${confidence.at(-1)!.toFixed(2)})`)
  console.log(`${text} → ${labels.join(', ') || 'no label'}`)
}
