/** Ctrl-C: the first SIGINT or SIGTERM asks the work to stop in order (it saves first), the second ends the process at once. */
import { constants } from 'node:os'
import { InterruptedError } from '../util/errors.ts'

/** Calls `notify` at the first signal and aborts; returns the signal to hand to the work. */
export function abortOnSignals(notify: () => void): AbortSignal {
  const controller = new AbortController()
  const handle = (name: 'SIGINT' | 'SIGTERM') => {
    if (controller.signal.aborted) process.exit(128 + constants.signals[name])
    notify()
    controller.abort(new InterruptedError())
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return controller.signal
}
