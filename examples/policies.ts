// The policies around something that is no HTTP call at all.

import { chaos, circuitBreaker, compose, fallback, RetryBudget, retry, timeout } from 'guru-comms/policies'

const storm = chaos({
  enabled: true,
  latency: { rate: 0.3, ms: () => 20 },
  fault: { rate: 0.4, error: () => new Error('injected') },
})
const breaker = circuitBreaker({ onChange: (state, reason) => console.log('breaker:', state, reason) })

const policy = compose(
  fallback('an older answer'),
  timeout(2_000, { phase: 'deadline' }),
  retry({ retries: 3, retryDelay: 5, budget: new RetryBudget() }),
  breaker,
  timeout(200),
  storm,
)

const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => policy.execute(() => `answer ${n}`)))
console.log(answers.filter((answer) => answer !== 'an older answer').length, 'of 20 were fresh')
console.log(breaker.getState())
