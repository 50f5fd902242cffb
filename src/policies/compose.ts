// Several policies as one.

import { nestPolicies, runNested } from './layer.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from './Policy.ts'

/**
 * Nests policies, the outermost first: `compose(retry(), circuitBreaker(), timeout())` retries what the breaker lets
 * through, each attempt under its own timeout. Without policies, the operation runs bare.
 */
export function compose(...policies: readonly Policy[]): Policy {
  for (const [index, policy] of policies.entries()) {
    if (typeof policy?.execute !== 'function') {
      throw new TypeError(
        `compose: argument ${index + 1} must be a policy (an object with execute), got ${typeof policy}`,
      )
    }
  }
  const outermost = nestPolicies(policies)
  return {
    execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      return runNested(outermost, operation, context)
    },
  }
}
