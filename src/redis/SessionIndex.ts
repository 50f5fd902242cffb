// Which sessions each node has, so that those of a dead one can be found: one set for each node, beside the list of nodes. A name
// stands in the set of whoever wants or owns the session before it is taken, so none is ever in no set; one that stands
// there for nothing is found out and removed.

import type { EngineLink } from './EngineLink.ts'
import { nodeKey, nodesKey } from './NodeLease.ts'
import type { RedisReply } from './RedisEngine.ts'
import { vital } from './sessionScripts.ts'
import { textOf } from './sessionWire.ts'

const PAGE = 256

export class SessionIndex {
  readonly #link: EngineLink
  readonly #prefix: string

  constructor(link: EngineLink, prefix: string) {
    this.#link = link
    this.#prefix = prefix
  }

  async add(node: string, sid: string): Promise<void> {
    await this.#link.run(vital, [this.#setOf(node)], ['SADD', sid])
  }

  /** Best effort: what is left over is found out by who looks for the sessions of a dead node. */
  remove(node: string, sid: string): void {
    this.#link.command(['SREM', this.#setOf(node), sid], this.#setOf(node)).catch(() => {})
  }

  async lives(node: string): Promise<boolean> {
    const key = nodeKey(this.#prefix, node)
    return (await this.#link.command(['EXISTS', key], key)) === 1
  }

  /** All nodes, and whether they live. */
  async nodes(): Promise<{ node: string; lives: boolean }[]> {
    const key = nodesKey(this.#prefix)
    const names = (await this.#link.command(['ZRANGE', key, '0', '-1'], key)) as readonly RedisReply[]
    return Promise.all(
      names.map(async (name) => ({ node: textOf(name), lives: await this.lives(textOf(name)) })),
    )
  }

  /** The sessions in a node's set, some hundred at a time; one may come twice. */
  async *sidsOf(node: string): AsyncGenerator<string[]> {
    const key = this.#setOf(node)
    let cursor = '0'
    do {
      const [next, sids] = (await this.#link.command(
        ['SSCAN', key, cursor, 'COUNT', `${PAGE}`],
        key,
      )) as readonly [RedisReply, readonly RedisReply[]]
      cursor = textOf(next)
      if (sids.length > 0) yield sids.map(textOf)
    } while (cursor !== '0')
  }

  /** Forgets a dead node, unless it still has something to leave. */
  async forget(node: string): Promise<boolean> {
    const set = this.#setOf(node)
    // Somebody may still be at it.
    if ((await this.#link.command(['SCARD', set], set)) !== 0) return false
    const key = nodesKey(this.#prefix)
    await this.#link.command(['ZREM', key, node], key)
    return true
  }

  #setOf(node: string): string {
    return `${this.#prefix}sessions:${node}`
  }
}
