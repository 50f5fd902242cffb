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
  const { limiter, settings } = core
  const { clock } = settings
  const wallNow = clock.wallNow()
  const serverNow = headers.date === undefined ? undefined : parseHttpDate(headers.date, wallNow)
  const learned = learner.observe(
    limiter,
    endpoint,
    category,
    { status, headers, retryAfterMs: retryAfterMs(headers, wallNow), serverNow: serverNow ?? wallNow },
    clock.now(),
  )
  if (learned && core.hears('learned')) core.tell('debug', 'learned', { endpoint, category, ...learned })
}
