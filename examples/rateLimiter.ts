// A limiter of your own: per user, per kind of work.

import { type RateLimitError, RateLimiter } from 'guru-comms/security/RateLimiter'

const limiter = new RateLimiter({
  limits: { upload: { tokensPerSecond: 1, burstCapacity: 3 } },
  onRateLimited: (endpoint, { retryAfter }) => console.log(`${endpoint} has to wait ${retryAfter} ms`),
})

for (let upload = 1; upload <= 4; upload += 1) {
  try {
    limiter.check('user-17', { category: 'upload' })
    console.log(`upload ${upload} goes through`)
  } catch (error) {
    console.log((error as RateLimitError).message)
  }
}

// Without exceptions, and at a higher cost:
const { allowed, retryAfter } = limiter.tryConsume('user-18', { category: 'upload', cost: 2 })
console.log({ allowed, retryAfter }, limiter.getInfo('user-18', 'upload'))
console.log(limiter.getStats())
