// Parameters of a query as text.

import { CommsError } from '../core/errors.ts'

/**
 * What `params` takes: `{ a: 1, tags: ['x', 'y'], since: new Date(), filter: { name: 'z' } }` becomes
 * `a=1&tags=x&tags=y&since=2030-01-01T00:00:00.000Z&filter[name]=z`. `undefined` and `null` are left out.
 */
export type QueryParams = URLSearchParams | Readonly<Record<string, unknown>>

/** Deeper than this, an object is taken for a mistake (or a circle). */
const MAX_DEPTH = 5

/** @throws CommsError `BAD_REQUEST` naming the parameter that has no form in a query */
export function serializeQuery(params: QueryParams): string {
  if (params instanceof URLSearchParams) return params.toString()
  const query = new URLSearchParams()
  for (const name of Object.keys(params)) append(query, name, params[name], 0)
  return query.toString()
}

function append(query: URLSearchParams, name: string, value: unknown, depth: number): void {
  if (value === undefined || value === null) return
  if (depth > MAX_DEPTH) throw refused(name, `is nested more than ${MAX_DEPTH} deep`)
  if (Array.isArray(value)) {
    for (const item of value) append(query, name, item, depth + 1)
    return
  }
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      query.append(name, String(value))
      return
    case 'number':
      if (!Number.isFinite(value)) throw refused(name, `is ${value}`)
      query.append(name, String(value))
      return
    case 'object':
      if (value instanceof Date) {
        if (Number.isNaN(value.getTime())) throw refused(name, 'is an invalid date')
        query.append(name, value.toISOString())
        return
      }
      for (const key of Object.keys(value))
        append(query, `${name}[${key}]`, (value as Record<string, unknown>)[key], depth + 1)
      return
    default:
      throw refused(name, `is a ${typeof value}`)
  }
}

function refused(name: string, why: string): CommsError {
  return new CommsError(`params: "${name}" ${why}`, { code: 'BAD_REQUEST' })
}
