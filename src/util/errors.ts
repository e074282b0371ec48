/** Typed errors: what was expected, what was received, where, and what to do next. The CLI prints them; it never prints a stack trace. */

/** Where in the user's input a fault lies. Lines and columns count from 1. */
export interface Place {
  file?: string
  line?: number
  column?: number
  /** A key inside a structured file ("config.json › hidden_size") or an option's name. */
  key?: string
  tensor?: string
}

export interface ErrorDetails {
  where?: Place
  /** What to do next, as one sentence. */
  help?: string
  /** Facts for programs: expected, received, counts, names. */
  data?: Record<string, unknown>
  cause?: unknown
}

const marker = Symbol.for('espalier.error')

/** Base of every error this package throws on purpose. `code` is stable; the message may be reworded. */
export class EspalierError extends Error {
  override readonly name: string = 'EspalierError'
  readonly code: string
  /** The process's exit status if this ends a command: 1 it failed, 2 the input or the usage is wrong. */
  readonly exitCode: 1 | 2
  readonly where: Place
  readonly help: string | undefined
  readonly data: Record<string, unknown>

  constructor(exitCode: 1 | 2, code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.exitCode = exitCode
    this.code = code
    this.where = details.where ?? {}
    this.help = details.help
    this.data = details.data ?? {}
    Object.defineProperty(this, marker, { value: true })
  }

  /** True for errors of this package, also when two copies of it are installed. */
  static is(value: unknown): value is EspalierError {
    return typeof value === 'object' && value !== null && marker in value
  }
}

/** The input or the usage is wrong: exit status 2. */
export class InputError extends EspalierError {
  override readonly name = 'InputError'
  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(2, code, message, details)
  }
}

/** The work failed although the input was acceptable: exit status 1. */
export class RunError extends EspalierError {
  override readonly name = 'RunError'
  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(1, code, message, details)
  }
}

/** The caller's AbortSignal fired. What was finished has been kept if the verb can resume. */
export class InterruptedError extends EspalierError {
  override readonly name = 'InterruptedError'
  constructor(message = 'interrupted', details: ErrorDetails = {}) {
    super(1, 'INTERRUPTED', message, details)
  }
}

/** Throws InterruptedError if `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason instanceof EspalierError ? signal.reason : new InterruptedError()
}

/** `file line 12, column 3 › key`, or an empty string. */
export function formatPlace(where: Place): string {
  const parts: string[] = []
  if (where.file !== undefined) parts.push(where.file)
  if (where.line !== undefined)
    parts.push(
      `line ${where.line.toLocaleString('en-US')}${where.column === undefined ? '' : `, column ${where.column}`}`,
    )
  const place = parts.join(' ')
  return [place, where.key ?? where.tensor].filter(Boolean).join(' › ')
}

/** An error as a plain object, to cross a thread or a JSON boundary. */
export interface ErrorRecord {
  name: string
  code: string
  message: string
  exitCode: 1 | 2
  where: Place
  help?: string
  data: Record<string, unknown>
  stack?: string
}

/** Turns any thrown value into a record; foreign errors get the code `INTERNAL`, system errors keep theirs (`ENOSPC`). */
export function toErrorRecord(error: unknown): ErrorRecord {
  if (EspalierError.is(error)) {
    const { name, code, message, exitCode, where, help, data, stack } = error
    return {
      name,
      code,
      message,
      exitCode,
      where,
      data,
      ...(help === undefined ? {} : { help }),
      ...(stack === undefined ? {} : { stack }),
    }
  }
  const system = systemError(error)
  if (system) return toErrorRecord(system)
  const message = error instanceof Error ? error.message : String(error)
  const stack = error instanceof Error ? error.stack : undefined
  return {
    name: 'Error',
    code: 'INTERNAL',
    message,
    exitCode: 1,
    where: {},
    data: {},
    ...(stack === undefined ? {} : { stack }),
  }
}

/** Rebuilds an error from its record (the other side of a thread). */
export function fromErrorRecord(record: ErrorRecord): EspalierError {
  const details: ErrorDetails = {
    where: record.where,
    data: record.data,
    ...(record.help === undefined ? {} : { help: record.help }),
  }
  const error =
    record.code === 'INTERRUPTED'
      ? new InterruptedError(record.message, details)
      : record.exitCode === 2
        ? new InputError(record.code, record.message, details)
        : new RunError(record.code, record.message, details)
  if (record.stack !== undefined) error.stack = record.stack
  return error
}

const systemFaults: Record<string, { exitCode: 1 | 2; message: string; help: string }> = {
  ENOENT: { exitCode: 2, message: 'File not found', help: 'check the path' },
  EISDIR: { exitCode: 2, message: 'Expected a file, received a folder', help: 'give the path of a file inside it' },
  ENOTDIR: { exitCode: 2, message: 'Expected a folder, received a file', help: 'give the path of a folder' },
  EEXIST: {
    exitCode: 2,
    message: 'A file stands where a folder is expected',
    help: 'choose another path',
  },
  EACCES: { exitCode: 2, message: 'Permission denied', help: 'check who may read and write there' },
  EPERM: { exitCode: 2, message: 'Operation not permitted', help: 'check who may read and write there' },
  EROFS: { exitCode: 2, message: 'The file system is read-only', help: 'choose another output folder' },
  ENOSPC: {
    exitCode: 1,
    message: 'No space left on the disk',
    help: 'free some space, or choose another output folder; nothing was left half-written',
  },
  EDQUOT: {
    exitCode: 1,
    message: 'The disk quota is used up',
    help: 'free some space, or choose another output folder',
  },
  EFBIG: {
    exitCode: 1,
    message: 'A file grew beyond what the system allows',
    help: 'raise the limit (ulimit -f), or choose another output folder; nothing was left half-written',
  },
  EMFILE: { exitCode: 1, message: 'Too many open files', help: 'raise the limit (ulimit -n)' },
  ELOOP: { exitCode: 2, message: 'The symbolic links lead in a circle', help: 'check where the link leads' },
  ENAMETOOLONG: { exitCode: 2, message: 'The file name is too long', help: 'choose a shorter name' },
}

/** A file-system error as a typed one with the same code, a typed error as it is, or undefined if it is something else. */
export function systemError(error: unknown): EspalierError | undefined {
  if (EspalierError.is(error)) return error
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  const fault = systemFaults[error.code]
  if (!fault) return undefined
  const path = 'path' in error && typeof error.path === 'string' ? error.path : undefined
  const details: ErrorDetails = {
    help: fault.help,
    cause: error,
    ...(path === undefined ? {} : { where: { file: path } }),
  }
  return fault.exitCode === 2
    ? new InputError(error.code, fault.message, details)
    : new RunError(error.code, fault.message, details)
}
