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
  /** The operation as the policies from `index` on wrap it: one closure a level, no promise of its own. */
  const wrapFrom = <T>(index: number, operation: Operation<T>): Operation<T> => {
    const policy = policies[index]
    if (!policy) return operation
    const inner = wrapFrom(index + 1, operation)
    return (context) => policy.execute(inner, context)
  }
  return {
    async execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      return wrapFrom(0, operation)(context)
    },
  }
}
