// Faults on purpose, as a policy like any other: for playgrounds, game days and users' own tests (Polly's Simmy).

import type { Clock } from '../../core/clock.ts'
import { AbortError, fenced, TimeoutError } from '../../core/errors.ts'
import {
  callable,
  checkOption,
  checkOptions,
  clockRule,
  flag,
  plainObject,
  share,
} from '../../core/options.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { sleep } from '../../core/sleep.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'

export interface ChaosOptions {
  /** Whether anything is injected; `policy.enabled` changes it. @default false */
  enabled?: boolean | undefined
  /** Which calls are eligible. @default all */
  when?: ((context: AttemptContext) => boolean) | undefined
  /** Waits before the operation. */
  latency?: { rate: number; ms: number | (() => number) } | undefined
  /** Throws instead of running the operation. */
  fault?: { rate: number; error: (context: AttemptContext) => unknown } | undefined
  /** Answers instead of running the operation. */
  outcome?: { rate: number; value: (context: AttemptContext) => unknown } | undefined
  clock?: Clock | undefined
  random?: Random | undefined
}

const rules = {
  enabled: flag,
  when: callable,
  latency: plainObject,
  fault: plainObject,
  outcome: plainObject,
  clock: clockRule,
  random: callable,
}

/** A policy that injects; `enabled` switches it at run time. */
export interface Chaos extends Policy {
  enabled: boolean
}

/** Injects latency, then perhaps a fault, then perhaps an outcome, each at its own rate. */
export function chaos(options: ChaosOptions = {}): Chaos {
  checkOptions('chaos', options, rules)
  const { latency, fault, outcome, when = () => true, clock = systemClock, random = systemRandom } = options
  for (const [name, injection] of Object.entries({ latency, fault, outcome })) {
    if (injection) checkOption('chaos', `${name}.rate`, injection.rate, share)
  }
  if (fault) checkOption('chaos', 'fault.error', fault.error, callable)
  if (outcome) checkOption('chaos', 'outcome.value', outcome.value, callable)
  const strikes = (injection: { rate: number } | undefined) =>
    injection !== undefined && random() < injection.rate

  const policy: Chaos = {
    enabled: options.enabled ?? false,
    async execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      if (!policy.enabled || !fenced('when', () => when(context))) return operation(context)
      if (latency && strikes(latency)) {
        const { ms } = latency
        const delayMs = typeof ms === 'function' ? fenced('latency.ms', ms) : ms
        const { signal, deadlineAt } = context
        const leftMs = Math.max(0, deadlineAt - clock.now())
        await sleep(
          clock,
          Math.min(delayMs, leftMs),
          signal,
          () => new AbortError('aborted by the caller', { cause: signal?.reason }),
        )
        // Injected or not, no latency outlives the call.
        if (delayMs > leftMs) {
          throw new TimeoutError('timeout: the deadline of the call has passed', {
            phase: 'deadline',
            timeoutMs: leftMs,
          })
        }
      }
      if (fault && strikes(fault)) throw fenced('fault.error', () => fault.error(context))
      if (outcome && strikes(outcome)) return fenced('outcome.value', () => outcome.value(context)) as T
      return operation(context)
    },
  }
  return policy
}
