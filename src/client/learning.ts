// Handing answers to whoever learns limits from them, and telling what was learned.

import { parseHttpDate, retryAfterMs } from '../http/retryAfter.ts'
import type { RateLimitLearner } from '../policies/rateLimiter/learnRateLimits.ts'
import type { HttpResponse } from '../transport/HttpTransport.ts'
import type { ClientCore } from './core.ts'

export function learnFrom(
  core: ClientCore,
  learner: RateLimitLearner,
  endpoint: string,
  category = 'api',
  { status, headers }: HttpResponse,
): void {
  const { clock, limiter, events } = core
  const wallNow = clock.wallNow()
  const serverNow = headers.date === undefined ? undefined : parseHttpDate(headers.date, wallNow)
  const learned = learner.observe(
    limiter,
    endpoint,
    category,
    { status, headers, retryAfterMs: retryAfterMs(headers, wallNow), serverNow: serverNow ?? wallNow },
    clock.now(),
  )
  if (!learned) return
  if (events.listenerCount('learned') > 0) events.emit('learned', { endpoint, category, ...learned })
  if (learned.holdMs > 0) {
    core.log('debug', () => `${endpoint} is held back for ${learned.holdMs} ms (${learned.source})`)
  }
}
