// Something else when the operation fails.

import { fenced, isA } from '../../core/errors.ts'
import { callable, checkOptions } from '../../core/options.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'

export interface FallbackOptions {
  /** Which errors are answered by the fallback. @default all but an abort */
  handle?: ((error: unknown) => boolean) | undefined
  /** Told whenever it steps in. */
  onFallback?: ((error: unknown) => void) | undefined
}

/**
 * Answers with `substitute` when the operation fails: a value, or a function of the error that gives one.
 * What the function throws is thrown.
 */
export function fallback<S>(
  substitute: S | ((error: unknown) => S | PromiseLike<S>),
  options: FallbackOptions = {},
): Policy & { execute<T>(operation: Operation<T>, context?: AttemptContext): Promise<T | S> } {
  checkOptions('fallback', options, { handle: callable, onFallback: callable })
  const { handle = (error) => !(isA(error, Error) && error.name === 'AbortError'), onFallback } = options
  const instead =
    typeof substitute === 'function'
      ? (substitute as (error: unknown) => S | PromiseLike<S>)
      : () => substitute
  return {
    async execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T & S> {
      try {
        return (await operation(context)) as T & S
      } catch (error) {
        if (!fenced('handle', () => handle(error))) throw error
        fenced('onFallback', () => onFallback?.(error))
        return (await instead(error)) as T & S
      }
    },
  }
}
