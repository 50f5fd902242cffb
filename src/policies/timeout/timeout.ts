// A limit of time on any operation.

import { onAbort } from '../../core/abort.ts'
import type { Clock } from '../../core/clock.ts'
import { AbortError, TimeoutError, type TimeoutPhase } from '../../core/errors.ts'
import { checkOption, checkOptions, clockRule, flag, interval, oneOf } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'
import { Deadlines } from './Deadlines.ts'

export interface TimeoutPolicyOptions {
  /** Inside `retry` it limits an `attempt`; around it, as `deadline`, the whole call. @default 'attempt' */
  phase?: Extract<TimeoutPhase, 'attempt' | 'deadline'>
  /** Whether its timers let the process end. @default false */
  unref?: boolean
  clock?: Clock
}

/**
 * Rejects after `timeoutMs` milliseconds and aborts the signal that the operation was given.
 * @throws TimeoutError when time ran out; AbortError when the caller aborted
 */
export function timeout(timeoutMs: number, options: TimeoutPolicyOptions = {}): Policy {
  checkOption('timeout', 'timeoutMs', timeoutMs, interval)
  checkOptions('timeout', options, { phase: oneOf('attempt', 'deadline'), unref: flag, clock: clockRule })
  const { phase = 'attempt', clock = systemClock, unref = false } = options
  const deadlines = new Deadlines(clock, unref)

  return {
    execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      const { signal } = context
      if (signal?.aborted)
        return Promise.reject(new AbortError('aborted by the caller', { cause: signal.reason }))
      return new Promise<T>((resolve, reject) => {
        const now = clock.now()
        const inner = new TimedContext(context.attempt, Math.min(context.deadlineAt, now + timeoutMs))
        let release: (() => void) | undefined
        const settle = () => {
          deadlines.cancel(deadline)
          release?.()
        }
        const end = (error: unknown) => {
          settle()
          reject(error)
          inner.abort(error)
        }
        const deadline = deadlines.set(
          timeoutMs,
          () => end(new TimeoutError(`timeout: not done within ${timeoutMs} ms`, { phase, timeoutMs })),
          now,
        )
        if (signal) {
          release = onAbort(signal, () =>
            end(new AbortError('aborted by the caller', { cause: signal.reason })),
          )
        }
        const fail = (error: unknown) => {
          settle()
          reject(error)
        }
        try {
          Promise.resolve(operation(inner)).then((value) => {
            settle()
            resolve(value)
          }, fail)
        } catch (error) {
          fail(error)
        }
      })
    },
  }
}

/** What the operation is told. Its signal is made when somebody asks for it: most of the cost of a timeout would be there. */
class TimedContext implements AttemptContext {
  readonly attempt: number
  readonly deadlineAt: number
  #controller: AbortController | undefined
  #ended: { readonly reason: unknown } | undefined

  constructor(attempt: number, deadlineAt: number) {
    this.attempt = attempt
    this.deadlineAt = deadlineAt
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#ended) this.#controller.abort(this.#ended.reason)
    }
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#ended = { reason }
    this.#controller?.abort(reason)
  }
}
