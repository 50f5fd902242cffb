// Parameters of a query as text.

import { badRequest, type CommsError } from '../core/errors.ts'
import { isSearchParams, tagOf } from './bodyKinds.ts'

/**
 * What `params` takes: `{ a: 1, tags: ['x', 'y'], since: new Date(), filter: { name: 'z' } }` becomes
 * `a=1&tags=x&tags=y&since=2030-01-01T00:00:00.000Z&filter[name]=z`. `undefined` and `null` are left out.
 */
export type QueryParams = URLSearchParams | Readonly<Record<string, unknown>>

/** Deeper than this, an object is taken for a mistake (or a circle). */
const MAX_DEPTH = 5

/** @throws CommsError `BAD_REQUEST` naming the parameter that has no form in a query */
export function serializeQuery(params: QueryParams): string {
  if (isSearchParams(params)) return params.toString()
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) append(query, name, value, 0)
  return query.toString()
}

function append(query: URLSearchParams, name: string, value: unknown, depth: number): void {
  if (value === undefined || value === null) return
  if (depth > MAX_DEPTH) throw refused(name, `nested more than ${MAX_DEPTH} deep`)
  if (tagOf(value) === 'Date') {
    const date = value as Date
    if (Number.isNaN(date.getTime())) throw refused(name, 'an invalid date')
    query.append(name, date.toISOString())
  } else if (typeof value === 'object') {
    for (const [key, item] of Object.entries(value))
      append(query, Array.isArray(value) ? name : `${name}[${key}]`, item, depth + 1)
  } else {
    if (/function|symbol/.test(typeof value)) throw refused(name, `a ${typeof value}`)
    if (typeof value === 'number' && !Number.isFinite(value)) throw refused(name, String(value))
    query.append(name, String(value))
  }
}

function refused(name: string, what: string): CommsError {
  return badRequest(`params: "${name}" is ${what}`)
}
