// The layers of policies/ around the attempts of a client's calls, and what they go by: its settings, and each call's own options.

import { CommsError, TimeoutError } from '../core/errors.ts'
import { breakerOutcome } from '../http/classify.ts'
import type { BearerAuth } from '../policies/bearerAuth/bearerAuth.ts'
import { BreakerLayer } from '../policies/circuitBreaker/BreakerLayer.ts'
import { around, type Inner, type Layer, nest } from '../policies/layer.ts'
import { LimiterLayer } from '../policies/rateLimiter/LimiterLayer.ts'
import { retryBackoff } from '../policies/retry/options.ts'
import { RetryLayer } from '../policies/retry/RetryLayer.ts'
import { TimeoutLayer } from '../policies/timeout/TimeoutLayer.ts'
import { Attempt } from './attempt.ts'
import type { Call } from './call.ts'
import type { ClientCore } from './core.ts'

/** Retry, breaker, limiter, timeout, attempt: see ARCHITECTURE.md for why in this order. */
export function pipelineOf(core: ClientCore): Inner<Call> {
  const { settings, breakers, tools, counters } = core
  const { clock, random, unref, jitter, maxRetryAfter, shouldRetry, auth } = settings
  return nest<Call>(
    [
      ...(auth ? [renewing(auth)] : []),
      new RetryLayer({
        clock,
        random,
        unref,
        maxRetryAfter,
        shouldRetry,
        backoff: retryBackoff(settings),
        decorrelated: jitter === 'decorrelated',
        budget: tools.budget,
        retries: ({ options }) => options.retries ?? settings.retries,
        handle: (error, { latest }) => latest?.isRepeatable(error) ?? false,
        onRetry({ error, attempt, delayMs }, call) {
          call.latest?.discard()
          counters.retries += 1
          if (error instanceof CommsError) error.attempts = call.attempts
          call.tell('warn', 'retry', { attempt, delay: Math.ceil(delayMs), error })
        },
        onStop(reason, call) {
          if (settings.enableLogging) core.log('debug', 'no retry', { ...call.about, reason })
        },
      }),
      new BreakerLayer({
        clock,
        machineOf: ({ prepared }) =>
          settings.circuitBreaker ? breakers.of(prepared.target.origin) : undefined,
        classify: (error, { latest }) =>
          // An attempt that had no time left, or that was spent on the app's own functions, says nothing about the server.
          error instanceof TimeoutError && (error.timeoutMs === 0 || !latest?.wasSent)
            ? 'ignored'
            : breakerOutcome(error),
        probeMs: (call, now) => call.limit(now),
        nameOf: ({ prepared }) => prepared.target.origin,
      }),
      new LimiterLayer({
        clock,
        unref,
        limiter: core.limiter,
        queues: settings.rateLimitMode === 'wait',
        retriesWait: true,
        demandOf: (call) => call,
        join: (endpoint, bucket, request) => core.waitForToken(endpoint, bucket, request),
        onLimited: (event, call) => call.tell('debug', 'limited', event),
      }),
      new TimeoutLayer({
        clock,
        deadlines: tools.deadlines,
        limitMs: (call, now) => call.limit(now),
        timeoutError: (call) => call.timeoutError(),
      }),
    ],
    {
      enter(call, { attempt }, ending) {
        counters.attempts += 1
        call.attempts += 1
        call.latest = new Attempt(call, attempt, call.now(clock), ending)
        call.tell('debug', 'attempt', { attempt })
        call.latest.start()
      },
    },
  )
}

/** Around the calls that take the client's token. */
function renewing(auth: BearerAuth): Layer<Call> {
  return {
    [around](inner) {
      const authorized = auth[around](inner)
      return {
        enter: (call, context, ending) => (call.takesToken ? authorized : inner).enter(call, context, ending),
      }
    },
  }
}
