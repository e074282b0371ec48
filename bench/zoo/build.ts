/**
 * Builds the zoo, or shows that it is there: accuracy of every specialist on its test rows.
 *
 *     npx tsx bench/zoo/build.ts --tiny
 *     nice -n 10 npx tsx bench/zoo/build.ts --size minilm [--seeds 0,1,2] [--data ../shared/data] [--minilm FOLDER] [--multi-task]
 */
import { parseArgs } from 'node:util'
import { datasetOf, evaluate, loadClassifier, loadTasks } from '../../dist/index.js'
import { openZoo, type ZooSize } from './zoo.ts'

const { values: flags } = parseArgs({
  options: {
    tiny: { type: 'boolean', default: false },
    size: { type: 'string', default: 'tiny' },
    seeds: { type: 'string', default: '0' },
    data: { type: 'string', default: '../shared/data' },
    cache: { type: 'string', default: 'bench/.cache' },
    minilm: { type: 'string' },
    'multi-task': { type: 'boolean', default: false },
  },
})

for (const seed of flags.seeds.split(',').map(Number)) {
  const start = performance.now()
  const { base, specialists, multiTask } = await openZoo({
    size: flags.tiny ? 'tiny' : (flags.size as ZooSize),
    seed,
    data: flags.data,
    cache: flags.cache,
    multiTask: flags['multi-task'],
    ...(flags.minilm === undefined ? {} : { minilm: flags.minilm }),
    onStep: (text) => console.error(text),
  })
  console.log(`base ${base}`)
  for (const { name, folder, train, dev, test, pool } of specialists) {
    const model = await loadClassifier(folder, { threads: 1 })
    const { metrics } = await evaluate(model, datasetOf(test))
    await model.close()
    const rows = `${train.length} train, ${dev.length} dev, ${test.length} test, ${pool.length} pool`
    console.log(`${name.padEnd(10)} accuracy ${metrics.exactPath.toFixed(3)}  ${rows}  ${folder}`)
  }
  const joint = multiTask === undefined ? undefined : await loadTasks(multiTask, { threads: 1 })
  for (const { name, test } of joint === undefined ? [] : specialists) {
    const { metrics } = await evaluate(joint!.classifier(name), datasetOf(test))
    console.log(`${name.padEnd(10)} accuracy ${metrics.exactPath.toFixed(3)}  multi-task model`)
  }
  await joint?.close()
  console.error(`seed ${seed}: ${((performance.now() - start) / 1000).toFixed(0)} s`)
}
