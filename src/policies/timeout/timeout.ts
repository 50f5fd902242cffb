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
      return new Promise<T>((resolve, reject) => {
        const controller = new AbortController()
        let release: (() => void) | undefined
        const end = (error: unknown) => {
          deadlines.cancel(deadline)
          release?.()
          reject(error)
          controller.abort(error)
        }
        const now = clock.now()
        const deadline = deadlines.set(
          timeoutMs,
          () => end(new TimeoutError(`timeout: not done within ${timeoutMs} ms`, { phase, timeoutMs })),
          now,
        )
        if (context.signal) {
          const { signal } = context
          release = onAbort(signal, () =>
            end(new AbortError('aborted by the caller', { cause: signal.reason })),
          )
          if (signal.aborted) return
        }
        const inner: AttemptContext = {
          signal: controller.signal,
          attempt: context.attempt,
          deadlineAt: Math.min(context.deadlineAt, now + timeoutMs),
        }
        const settle = () => {
          deadlines.cancel(deadline)
          release?.()
        }
        // `async` turns a synchronous throw into a rejection.
        const run = async () => operation(inner)
        run().then(
          (value) => {
            settle()
            resolve(value)
          },
          (error) => {
            settle()
            reject(error)
          },
        )
      })
    },
  }
}
