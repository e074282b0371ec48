// A page that answers with the model in ./model/, and fine-tunes the encoder in ./encoder/ in a worker.
import { formatPath, loadClassifier, trainClassifier, zipFiles } from 'espalier/browser'

const find = (id) => document.getElementById(id)
let model

async function answer() {
  const text = find('text').value
  if (!model || text.trim() === '') return
  const [{ top }] = await model.predict([text], { topK: 3 })
  find('answer').value = top.map(({ path, probability }) => `${probability.toFixed(2)}  ${formatPath(path)}`).join('\n')
}

function show(opened) {
  model = opened
  const { kind, labels, parameters, runtime } = model.info
  find('status').textContent = `${kind}, ${labels.length} labels, ${parameters} weights, ${runtime}`
  return answer()
}

find('text').addEventListener('input', answer)
find('train').addEventListener('click', async () => {
  const rows = find('rows')
    .value.split('\n')
    .map((line) => line.split('\t'))
    .filter(([text, path]) => text && path)
    .map(([text, path]) => ({ text, labels: [path.split(' › ')] }))
  let loss = ''
  try {
    const trained = await trainClassifier(rows, {
      encoder: './encoder/',
      epochs: 20,
      onProgress: ({ step, done, total, metrics }) => {
        if (metrics?.loss !== undefined) loss = `, loss ${metrics.loss.toFixed(3)}`
        find('progress').value = `${step} ${done}${total ? ` of ${total}` : ''}${loss}`
      },
    })
    await show(trained)
    find('save').hidden = false
  } catch (error) {
    find('progress').value = [error.message, error.help].filter(Boolean).join('\n')
  }
})
find('save').addEventListener('click', async () => {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(zipFiles(await model.files(), 'my-model'))
  link.download = 'my-model.zip'
  link.click()
  URL.revokeObjectURL(link.href)
})

await loadClassifier('./model/').then(show, (error) => {
  find('status').textContent = [error.message, error.help].filter(Boolean).join(' — ')
})
