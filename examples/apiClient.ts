// HTTP: retries, typed errors, interceptors, statistics.

import { ApiClient, type ApiError, type RateLimitError } from 'guru-comms/ApiClient'
import { createBackend } from 'guru-comms/server'

const backend = await createBackend({ port: 0 })
const client = new ApiClient({ baseURL: `http://127.0.0.1:${backend.port}`, retries: 3 })

// Parsed body, ready to use.
const health = await client.get('/v1/health')
console.log('health:', health)

// Every request carries a header of ours; the remover takes the interceptor away again.
const remove = client.addRequestInterceptor((config) => {
  config.headers['x-client'] = 'example'
  return config
})
await client.post('/v1/settings', { voice: 'calm' })
remove()

// Errors have a stable code, and what you need to act on them.
try {
  await client.get('/v1/nothing-here')
} catch (error) {
  const { code, status, attempts } = error as ApiError
  console.log('not found:', code, status, 'after', attempts, 'attempt')
}

// The limiter is on by default: 30 at once, 20 a second.
const burst = await Promise.allSettled(Array.from({ length: 40 }, () => client.get('/v1/models')))
const refused = burst
  .filter((result) => result.status === 'rejected')
  .map(({ reason }) => reason as RateLimitError)
console.log('refused:', refused.length, 'retry in', refused[0]?.retryAfter, 'ms')

console.log('breaker:', client.getCircuitBreakerState().state)
client.dispose()
await backend.close()
