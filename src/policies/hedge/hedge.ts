// Asking a second time when the first answer is slow, and taking whichever comes first (Dean and Barroso, "The Tail at
// Scale", 2013). Only for operations that may run twice. As in gRPC's A6, a hedge that fails sends the next at once.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { AbortError } from '../../core/errors.ts'
import {
  callable,
  checkOptions,
  clockRule,
  count,
  delay,
  positiveCount,
  share,
  withDefaults,
} from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'
import type { RetryBudget } from '../retry/retryBudget.ts'
import { LatencyWindow } from './latencyWindow.ts'

export interface HedgeOptions {
  /** A fixed wait before each hedge, in milliseconds. @default learned: see `quantile` */
  delay?: number | undefined
  /** The wait is what this share of recent operations stayed under. @default 0.95 */
  quantile?: number | undefined
  /** Operations to have seen before the first hedge is sent by quantile. @default 20 */
  minSamples?: number | undefined
  /** Hedges beyond the first call. @default 1 */
  maxHedges?: number | undefined
  /** Shared with retries: a hedge is paid from it like one. @default none */
  budget?: RetryBudget | undefined
  /** Which errors let the others go on; any other ends the call. @default all */
  handle?: ((error: unknown) => boolean) | undefined
  /** Told of every hedge sent. */
  onHedge?: ((event: { attempt: number; afterMs: number }) => void) | undefined
  clock?: Clock | undefined
}

const defaults = { quantile: 0.95, minSamples: 20, maxHedges: 1 }
const rules = {
  delay,
  quantile: share,
  minSamples: positiveCount,
  maxHedges: count,
  budget: {
    expected: 'a RetryBudget',
    accepts: (value: unknown) => typeof (value as RetryBudget)?.tryWithdraw === 'function',
  },
  handle: callable,
  onHedge: callable,
  clock: clockRule,
}

/** Sends hedges; losers have their signal aborted. */
export function hedge(options: HedgeOptions = {}): Policy {
  checkOptions('hedge', options, rules)
  const { quantile, minSamples, maxHedges } = withDefaults(defaults, options)
  const { budget, handle = () => true, onHedge, clock = systemClock } = options
  const latencies = new LatencyWindow()

  const hedgeDelay = (): number => {
    if (options.delay !== undefined) return options.delay
    return latencies.count < minSamples ? Number.POSITIVE_INFINITY : (latencies.quantile(quantile) as number)
  }

  return {
    execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        const startedAt = clock.now()
        const running = new Set<AbortController>()
        let sent = 0
        let over = false
        let timer: TimerHandle | undefined
        let stopListening: (() => void) | undefined

        const finish = () => {
          over = true
          if (timer !== undefined) clock.clearTimeout(timer)
          stopListening?.()
          for (const loser of running) loser.abort(new AbortError('another answer came first'))
        }
        const schedule = () => {
          timer = undefined
          const delayMs = hedgeDelay()
          if (sent <= maxHedges && delayMs !== Number.POSITIVE_INFINITY)
            timer = clock.setTimeout(sendHedge, delayMs)
        }
        const sendHedge = () => {
          if (budget && !budget.tryWithdraw(clock.now())) return
          onHedge?.({ attempt: context.attempt + sent, afterMs: clock.now() - startedAt })
          send()
          schedule()
        }
        const send = () => {
          sent += 1
          const controller = new AbortController()
          running.add(controller)
          const sentAt = clock.now()
          const inner: AttemptContext = {
            signal: controller.signal,
            attempt: context.attempt + sent - 1,
            deadlineAt: context.deadlineAt,
          }
          const run = async () => operation(inner)
          run().then(
            (value) => {
              running.delete(controller)
              if (over) return
              latencies.record(clock.now() - sentAt)
              finish()
              resolve(value)
            },
            (error) => {
              running.delete(controller)
              if (over) return
              if (handle(error) && sent <= maxHedges && hedgeDelay() !== Number.POSITIVE_INFINITY) {
                if (timer !== undefined) clock.clearTimeout(timer)
                sendHedge()
              }
              // Others may still answer; the last one to fail speaks for all.
              if (running.size > 0 && handle(error)) return
              finish()
              reject(error)
            },
          )
        }

        budget?.deposit(startedAt)
        const { signal } = context
        if (signal) {
          stopListening = onAbort(signal, () => {
            finish()
            reject(new AbortError('aborted by the caller', { cause: signal.reason }))
          })
          if (over) return
        }
        send()
        schedule()
      })
    },
  }
}
