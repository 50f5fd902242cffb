// A limit of time on any operation.

import type { Clock } from '../../core/clock.ts'
import { TimeoutError, type TimeoutPhase } from '../../core/errors.ts'
import { checkOption, checkOptions, clockRule, flag, interval } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import type { Policy } from '../Policy.ts'
import { Deadlines } from './Deadlines.ts'
import { TimeoutLayer } from './TimeoutLayer.ts'

export interface TimeoutPolicyOptions {
  /** Inside `retry` it limits an `attempt`; around it, as `deadline`, the whole call. @default 'attempt' */
  phase?: Extract<TimeoutPhase, 'attempt' | 'deadline'> | undefined
  /** Whether its timers let the process end. @default false */
  unref?: boolean | undefined
  clock?: Clock | undefined
}

/**
 * Rejects after `timeoutMs` milliseconds and aborts the signal that the operation was given.
 * @throws TimeoutError when time ran out; AbortError when the caller aborted
 */
export function timeout(timeoutMs: number, options: TimeoutPolicyOptions = {}): Policy {
  checkOption('timeout', 'timeoutMs', timeoutMs, interval)
  checkOptions('timeout', options, { phase: '"attempt" or "deadline"', unref: flag, clock: clockRule })
  const { phase = 'attempt', clock = systemClock, unref = false } = options
  return new TimeoutLayer({
    clock,
    deadlines: new Deadlines(clock, unref),
    limitMs: () => timeoutMs,
    timeoutError: () => new TimeoutError(`timeout: not done within ${timeoutMs} ms`, { phase, timeoutMs }),
  })
}
