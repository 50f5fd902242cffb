// The parsed body against the caller's schema, whichever library it comes from.

import { SchemaError } from '../core/schemaError.ts'
import { pathText, type StandardResult, type StandardSchema } from '../core/standardSchema.ts'

/**
 * What the schema makes of a body: at once, or later when the schema is asynchronous.
 * @throws SchemaError with the issues, never with the body
 */
export function applySchema<T>(schema: StandardSchema<T>, data: unknown, url: string): T | Promise<T> {
  const result = schema['~standard'].validate(data)
  return result instanceof Promise ? result.then((settled) => accept(settled, url)) : accept(result, url)
}

function accept<T>(result: StandardResult<T>, url: string): T {
  if (!result.issues) return result.value
  const issues = result.issues.map(({ message, path }) => ({
    message,
    path: pathText(path).replace(/^\./, ''),
  }))
  throw new SchemaError(issues, url)
}
