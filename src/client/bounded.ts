// Waiting for code of the app's within a call: no longer than its caller wants, and its deadline lets.

import { onAbort } from '../core/abort.ts'
import { abortedBy, TimeoutError } from '../core/errors.ts'
import type { ClientCore } from './core.ts'

/** How long a call may go on. */
export interface Bounds {
  readonly signal: AbortSignal | undefined
  /** On the client's clock. */
  readonly deadlineAt: number
}

/** Whether the call must be over by now. */
export function isPast(core: ClientCore, { signal, deadlineAt }: Bounds): boolean {
  return signal?.aborted === true || (deadlineAt !== Infinity && core.settings.clock.now() >= deadlineAt)
}

/**
 * What `work` comes to.
 * @param who for the message
 * @throws AbortError, TimeoutError
 */
export function bounded<T>(
  core: ClientCore,
  { signal, deadlineAt }: Bounds,
  who: string,
  work: T | PromiseLike<T>,
): T | PromiseLike<T> {
  if (typeof (work as PromiseLike<T> | undefined)?.then !== 'function') return work
  if (!signal && deadlineAt === Infinity) return work
  const { deadlines } = core.tools
  return new Promise<T>((resolve, reject) => {
    const leftMs = Math.max(0, Math.round(deadlineAt - core.settings.clock.now()))
    const timer =
      deadlineAt === Infinity
        ? undefined
        : deadlines.set(leftMs, () => {
            const message = `timeout: the deadline has passed in ${who}`
            end(() => reject(new TimeoutError(message, { phase: 'deadline', timeoutMs: leftMs })))
          })
    let release: (() => void) | undefined
    const end = (settle: () => void) => {
      if (timer) deadlines.cancel(timer)
      release?.()
      settle()
    }
    if (signal) release = onAbort(signal, () => end(() => reject(abortedBy(signal, `aborted in ${who}`))))
    Promise.resolve(work).then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    )
  })
}
