/** The studio as a Hono app: the page's files and the JSON of a folder of runs. It names runs by what was found in the folder; no request names a path to open. */
import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Hono } from 'hono'
import * as v from 'valibot'
import { readClassifierFiles } from '../../classify/classifier.ts'
import { taskNames } from '../../classify/load-tasks.ts'
import { trainLogFile } from '../../classify/work-folder.ts'
import { readTrainLog } from '../../train/train-log.ts'
import { EspalierError, InputError, RunError, toErrorRecord } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import { readBody } from '../read-body.ts'
import type { EvaluationDocument, EvaluationEntry, JobLine, MergeMap, RunDetail, RunList, RunSummary } from './api.ts'
import { allowedFile, readOptionsOf, recordedFiles } from './data-files.ts'
import { followLog } from './follow-log.ts'
import { JobThread } from './job-thread.ts'
import { evaluationStamp, KeptEvaluations } from './kept-evaluations.ts'
import { mergeSources, recordedTasks } from './merge-record.ts'
import { evaluationDocument, readReport, scoreOf } from './read-report.ts'
import { faultOf, readObject } from './read-run.ts'
import { type Found, type ReportMemory, scanRuns } from './scan-runs.ts'
import { studioFiles } from './static-files.ts'

export interface StudioOptions {
  /** The folder of runs. Default: the working folder. */
  folder?: string
}

export interface Studio {
  readonly app: Hono
  readonly folder: string
  /** How many runs it found at first. */
  readonly runs: number
  /** Ends streams that would otherwise stay open. */
  stopping(): void
  close(): Promise<void>
}

const mostBodyBytes = 1_000_000
const text = v.pipe(v.string(), v.maxLength(100_000))
const id = v.pipe(v.string(), v.maxLength(4096))
const textBody = v.object({ id, head: v.optional(text), text })
const idBody = v.object({ id })
const attributeBody = v.object({
  ...textBody.entries,
  target: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
})
const evaluateBody = v.object({
  id,
  head: v.optional(text),
  file: text,
  textColumn: v.optional(text),
  labelsColumn: v.optional(text),
})

const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
}

/**
 * Builds the studio over a folder.
 * @throws InputError `ENOENT`, `ENOTDIR`; RunError `NOT_BUILT`.
 * @example
 * const studio = await studioApp({ folder: 'runs' })
 * const server = await listen(studio.app, { port: 8090, onStopping: studio.stopping, onStop: studio.close })
 */
export async function studioApp(options: StudioOptions = {}): Promise<Studio> {
  const root = resolve(options.folder ?? '.')
  const files = await studioFiles()
  const memory: ReportMemory = new Map()
  const { size: runs } = (await scanRuns(root, memory)).runs
  const kept = new KeptEvaluations(root)
  const quick = new JobThread()
  const long = new JobThread()
  const stop = new AbortController()
  const places = [...new Set([process.cwd(), root, await realpath(root)])]

  const runOf = async (asked: string): Promise<{ run: RunSummary; folder: string; found: Found }> => {
    const found = await scanRuns(root, memory)
    const run = found.runs.get(asked)
    if (!run)
      throw new InputError('STUDIO_RUN', `There is no run "${asked.slice(0, 200)}" in this folder`, {
        help: 'it may have been moved: see the list of runs',
      })
    return { run, folder: join(root, run.id), found }
  }
  /** A run that can answer texts. */
  const answering = async (asked: string): Promise<{ run: RunSummary; folder: string }> => {
    const { run, folder } = await runOf(asked)
    if (run.fault)
      throw new InputError(run.fault.code, run.fault.message, { ...(run.fault.help ? { help: run.fault.help } : {}) })
    return { run, folder }
  }
  const recordOf = (folder: string): Promise<Record<string, unknown>> =>
    readObject(join(folder, 'espalier.json')).catch(() => ({}))
  /** The record of the training behind a model, or behind one head of a merged one. */
  const trainedBy = async (
    folder: string,
    head: string | undefined,
  ): Promise<{ record: Record<string, unknown>; place: string }> => {
    const record = await recordOf(folder)
    const sources = head === undefined ? [] : await mergeSources(record, around(folder))
    const own = sources.find(({ key, found }) => found && key === head)
    return own ? { record: await recordOf(own.folder), place: own.folder } : { record, place: folder }
  }
  const around = (folder: string): string[] => [...new Set([...places, dirname(folder), folder])]

  const app = new Hono()
  app.use(async (c, next) => {
    await next()
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value)
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store')
  })
  // A page of another site may send requests here, but not in the name of this one.
  app.use('/api/*', async (c, next) => {
    const origin = c.req.header('origin')
    const site = c.req.header('sec-fetch-site')
    const foreign =
      (origin !== undefined && origin !== new URL(c.req.url).origin) ||
      (site !== undefined && !['same-origin', 'none'].includes(site))
    if (foreign)
      throw new InputError('ORIGIN_REFUSED', 'Another site asked for this', { help: "open the studio's own address" })
    return next()
  })

  app.get('/api/runs', async (c) => {
    const { runs, skipped } = await scanRuns(root, memory)
    const listed: RunSummary[] = []
    for (const run of runs.values()) {
      const best = run.kind === 'model' || run.kind === 'merge' ? (await evaluationsOf(run, runs))[0] : undefined
      listed.push(best ? { ...run, score: best.score } : run)
    }
    return c.json({ folder: root, version, runs: listed, skipped } satisfies RunList)
  })

  const evaluationsOf = async (run: RunSummary, runs: Found['runs']): Promise<EvaluationEntry[]> => {
    const entries = await kept.of(run.id)
    for (const other of runs.values()) {
      if (other.kind !== 'evaluation' || other.score === undefined) continue
      const value = await readObject(join(root, other.id)).catch(() => undefined)
      if (value && modelNamedBy(value['command']) === basename(join(root, run.id)))
        entries.push({
          id: `file:${other.id}`,
          score: other.score,
          created: String(value['created'] ?? other.modified),
          from: 'file',
        })
    }
    // Those of the studio hold every row, so they come first.
    const rank = ({ from, created }: EvaluationEntry) => `${from === 'studio' ? 1 : 0} ${created}`
    return entries.sort((a, b) => (rank(a) < rank(b) ? 1 : -1))
  }

  app.get('/api/run', async (c) => {
    const { run, folder, found } = await runOf(c.req.query('id') ?? '')
    const record = run.kind === 'evaluation' || run.kind === 'broken' ? {} : await recordOf(folder)
    const data = await recordedFiles(record, around(folder))
    const sources = record['verb'] === 'merge' ? await mergeSources(record, around(folder)) : []
    const heads = run.kind === 'merge' ? await taskNames(folder) : []
    const hasLog =
      run.kind === 'training' || (await readTrainLog(join(folder, trainLogFile)).catch(() => [])).length > 0
    const { answers, answersNot } = await canAnswer(run, folder, heads)
    const detail: RunDetail = {
      run,
      record,
      evaluations: ['model', 'merge', 'checkpoint'].includes(run.kind) ? await evaluationsOf(run, found.runs) : [],
      data: data.map(({ file, found, why }) => ({ file, found, ...(why === undefined ? {} : { why }) })),
      offered: found.data,
      hasLog,
      answers,
      ...(answersNot === undefined ? {} : { answersNot }),
      heads,
      specialists: sources.map(({ label, key, folder, base, found }) => ({ label, key, folder, base, found })),
    }
    return c.json(detail)
  })

  app.get('/api/evaluation', async (c) => {
    const asked = c.req.query('id') ?? ''
    return c.json(await evaluationOf(asked))
  })
  const evaluationOf = async (asked: string): Promise<EvaluationDocument> => {
    if (asked.startsWith('file:')) {
      const { run, folder } = await runOf(asked.slice(5))
      return evaluationDocument(asked, readReport(await readObject(folder), run.id))
    }
    const report = await kept.get(asked)
    if (!report) throw new InputError('STUDIO_RUN', 'There is no such evaluation', { help: 'compute it again' })
    return evaluationDocument(asked, report)
  }

  app.post('/api/evaluate', async (c) => {
    const body = await readBody(c.req.raw, evaluateBody, mostBodyBytes)
    const { run, folder } = await answering(body.id)
    const record = await recordOf(folder)
    const recorded = (await recordedFiles(record, around(folder))).find(({ file, path }) => file === body.file && path)
    const file = recorded?.path ?? (await allowedFile(body.file, places))
    const read = { ...readOptionsOf(record['command']), ...columns(body) }
    const { head } = body
    const stamp = await evaluationStamp(folder, head, file, read)
    return stream<EvaluationEntry>(c.req.raw.signal, async (run_) => {
      const known = stamp.slice(0, 24)
      const report =
        (await kept.get(known)) ??
        (await long.run(
          'evaluate',
          {
            folder,
            ...(head === undefined ? {} : { head }),
            file,
            read,
            command: `espalier evaluate ${run.id} ${body.file}`,
          },
          run_,
        ))
      const id = await kept.keep({ run: run.id, stamp, report })
      return { id, score: scoreOf(report), created: report.created, from: 'studio' }
    })
  })

  app.post('/api/answer', async (c) => {
    const { id, ...asked } = await readBody(c.req.raw, textBody, mostBodyBytes)
    const { folder } = await answering(id)
    return c.json(await quick.run('answer', { folder, ...given(asked) }, { signal: c.req.raw.signal }))
  })
  app.post('/api/attribute', async (c) => {
    const { id, ...asked } = await readBody(c.req.raw, attributeBody, mostBodyBytes)
    const { folder } = await answering(id)
    return c.json(await quick.run('attribute', { folder, ...given(asked) }, { signal: c.req.raw.signal }))
  })
  app.post('/api/neighbours', async (c) => {
    const { id, ...asked } = await readBody(c.req.raw, textBody, mostBodyBytes)
    const { folder } = await answering(id)
    const { record, place } = await trainedBy(folder, asked.head)
    const [recorded] = await recordedFiles(record, around(place))
    if (!recorded?.path) {
      const why =
        recorded === undefined ? 'the run does not say what it was trained on' : `${recorded.file}: ${recorded.why}`
      throw new InputError('STUDIO_DATA', `The training rows cannot be shown: ${why}`, {
        help: 'put the file back where it was when the model was trained',
      })
    }
    const { path } = recorded
    return stream(c.req.raw.signal, (run) =>
      long.run('neighbours', { folder, file: path, read: readOptionsOf(record['command']), ...given(asked) }, run),
    )
  })
  app.post('/api/specialists', async (c) => {
    const { id, ...asked } = await readBody(c.req.raw, textBody, mostBodyBytes)
    const { folder } = await answering(id)
    const record = await recordOf(folder)
    const sources = await mergeSources(record, around(folder))
    return stream(c.req.raw.signal, (run) => long.run('specialists', { folder, record, sources, ...given(asked) }, run))
  })

  app.post('/api/merge-map', async (c) => {
    const { id } = await readBody(c.req.raw, idBody, mostBodyBytes)
    const { folder } = await answering(id)
    const record = await recordOf(folder)
    const sources = await mergeSources(record, around(folder))
    const tasks = recordedTasks(record)
    return stream<MergeMap>(c.req.raw.signal, async (run) => ({
      ...(await long.run('mergeMap', { sources }, run)),
      tasks,
    }))
  })

  app.get('/api/log', async (c) => {
    const { folder } = await runOf(c.req.query('id') ?? '')
    const signal = AbortSignal.any([c.req.raw.signal, stop.signal])
    return events(followLog(folder, signal), signal)
  })

  app.get('/*', (c) => {
    const file = files.get(c.req.path === '/' ? '/index.html' : c.req.path)
    if (!file) throw new InputError('STUDIO_RUN', 'There is no such page', { help: 'open /' })
    return c.body(file.body, 200, {
      'content-type': file.type,
      ...(file.fixed ? { 'cache-control': 'max-age=31536000, immutable' } : {}),
    })
  })
  app.onError((thrown, c) => {
    const error = EspalierError.is(thrown) ? thrown : new RunError('INTERNAL', toErrorRecord(thrown).message)
    const status = ['STUDIO_RUN'].includes(error.code)
      ? 404
      : error.code === 'ORIGIN_REFUSED'
        ? 403
        : error.exitCode === 2
          ? 422
          : 500
    return c.json({ fault: faultOf(error) }, status)
  })

  return {
    app,
    folder: root,
    runs,
    stopping: () => stop.abort(),
    async close() {
      stop.abort()
      await Promise.all([quick.close(), long.close()])
    },
  }
}

async function canAnswer(
  run: RunSummary,
  folder: string,
  heads: readonly string[],
): Promise<{ answers: boolean; answersNot?: string }> {
  if (run.kind === 'model') {
    await readClassifierFiles(folder)
    return { answers: true }
  }
  if (run.kind !== 'merge' && run.kind !== 'checkpoint') return { answers: false }
  if (heads.length > 0) return { answers: true }
  const config = await readObject(join(folder, 'config.json')).catch((): Record<string, unknown> => ({}))
  const labels = config['id2label']
  const outputs = typeof labels === 'object' && labels !== null ? Object.keys(labels).length : 0
  return outputs > 1 ? { answers: true } : { answers: false, answersNot: 'the checkpoint has no classification head' }
}

/** The name of the model's folder in a recorded `espalier evaluate MODEL DATA`. */
function modelNamedBy(command: unknown): string | undefined {
  const [, quoted, bare] = (typeof command === 'string' && /\bevaluate\s+(?:'([^']+)'|(\S+))/.exec(command)) || []
  const name = quoted ?? bare
  return name === undefined || name.startsWith('-') ? undefined : basename(resolve(name))
}

const columns = ({
  textColumn,
  labelsColumn,
}: {
  textColumn?: string | undefined
  labelsColumn?: string | undefined
}): { text?: string | string[]; labels?: string | string[] } => {
  const names = (value: string): string | string[] =>
    value.includes(',') ? value.split(',').map((name) => name.trim()) : value.trim()
  return {
    ...(textColumn?.trim() ? { text: names(textColumn) } : {}),
    ...(labelsColumn?.trim() ? { labels: names(labelsColumn) } : {}),
  }
}

type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> }
const given = <T extends object>(value: T): Given<T> =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Given<T>

const encoder = new TextEncoder()

/** A job's progress and its result, a JSON line each. */
function stream<Result>(asked: AbortSignal, work: (run: Required<RunOptions>) => Promise<Result>): Response {
  const gone = new AbortController()
  const signal = AbortSignal.any([asked, gone.signal])
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (line: JobLine<Result>) => {
        if (!signal.aborted) controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`))
      }
      let last = 0
      const onProgress: Required<RunOptions>['onProgress'] = ({ step, done, total, unit, note }) => {
        if (note === undefined && Date.now() - last < 100) return
        last = Date.now()
        send({ type: 'progress', step, done, ...given({ total, unit, note }) })
      }
      await work({ signal, onProgress }).then(
        (result) => send({ type: 'done', result }),
        (error: unknown) => send({ type: 'failed', fault: faultOf(error) }),
      )
      if (!signal.aborted) controller.close()
    },
    cancel: () => gone.abort(),
  })
  return new Response(body, { headers: { 'content-type': 'application/x-ndjson' } })
}

/** Server-sent events. */
function events(source: AsyncGenerator<unknown>, signal: AbortSignal): Response {
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await source.next()
      if (done || signal.aborted) controller.close()
      else controller.enqueue(encoder.encode(`data: ${JSON.stringify(value)}\n\n`))
    },
    async cancel() {
      await source.return(undefined)
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}
