// The parsed body against the caller's schema, whichever library it comes from.

import { callbackFailed, fenced } from '../core/errors.ts'
import { SchemaError } from '../core/schemaError.ts'
import { pathText, type StandardResult, type StandardSchema } from '../core/standardSchema.ts'

/**
 * What the schema makes of a body: at once, or later when the schema is asynchronous.
 * @throws SchemaError with the issues, never with the body
 */
export function applySchema<T>(schema: StandardSchema<T>, data: unknown, url: string): T | Promise<T> {
  const result = fenced('schema', () => schema['~standard'].validate(data))
  if (!(result instanceof Promise)) return accept(result, url)
  return result.then(
    (settled) => accept(settled, url),
    (error) => {
      throw callbackFailed('schema', error)
    },
  )
}

function accept<T>(result: StandardResult<T>, url: string): T {
  if (!result.issues) return result.value
  const issues = result.issues.map(({ message, path }) => ({
    message,
    path: pathText(path).replace(/^\./, ''),
  }))
  throw new SchemaError(issues, url)
}
