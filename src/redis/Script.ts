// A script that the engine runs as one step, named by its digest so that its text travels once.

import { createHash } from 'node:crypto'

export class Script {
  /** For messages. */
  readonly name: string
  /** Lua 5.1. It names its keys through KEYS only, so that a cluster knows where it belongs. */
  readonly source: string
  /** What EVALSHA asks for. */
  readonly sha: string

  constructor(name: string, source: string) {
    this.name = name
    this.source = source
    this.sha = createHash('sha1').update(source).digest('hex')
  }
}

/** What decides about the slot of a key in a cluster: what stands in its first braces, or all of it. */
export function hashTag(key: string): string {
  const from = key.indexOf('{')
  const to = key.indexOf('}', from + 1)
  return from >= 0 && to > from + 1 ? key.slice(from + 1, to) : key
}

/** @throws TypeError when a cluster would look for them on different nodes */
export function checkOneSlot(name: string, keys: readonly string[]): void {
  const [first, ...rest] = keys
  const other = first === undefined ? undefined : rest.find((key) => hashTag(key) !== hashTag(first))
  if (other !== undefined) {
    throw new TypeError(
      `${name}: its keys must share a hash tag ({...}) to lie on one node of a cluster, got "${first}" and "${other}"`,
    )
  }
}
