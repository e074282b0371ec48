/**
 * The smallest whole: rows in the program, a model in memory, an answer.
 *
 *     npx tsx examples/train-and-predict.ts
 */
import { datasetOf, predict, train } from 'espalier'

const rows = {
  'billing > invoice': [
    'the invoice shows the wrong address',
    'send me the invoice again',
    'my invoice has two errors',
    'where do i find my invoice',
  ],
  'billing > refund': [
    'i want my money back',
    'please refund the last payment',
    'how long does a refund take',
    'the refund has not arrived',
  ],
  'app > crash': [
    'the app crashes when it starts',
    'it closes after a few seconds',
    'crash on the settings page',
    'the screen freezes and the app quits',
  ],
  'app > login': [
    'i cannot log in',
    'my password is not accepted',
    'how do i reset my password',
    'the login page says unknown user',
  ],
}
const data = datasetOf(Object.entries(rows).flatMap(([labels, texts]) => texts.map((text) => ({ text, labels }))))

const model = await train(data)
console.log(`${model.tree.size} labels on ${model.tree.depth} levels, ${data.count} rows`)

const questions = ['there is an error in the invoice', 'i forgot my password']
for (const [index, answer] of (await predict(model, questions)).entries())
  console.log(`${questions[index]} → ${answer.path.join(' › ')}`)
