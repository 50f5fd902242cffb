// Several policies as one.

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
  const runFrom = async <T>(index: number, operation: Operation<T>, context: AttemptContext): Promise<T> => {
    const policy = policies[index]
    if (!policy) return operation(context)
    return policy.execute((inner) => runFrom(index + 1, operation, inner), context)
  }
  return { execute: (operation, context = firstAttempt) => runFrom(0, operation, context) }
}
