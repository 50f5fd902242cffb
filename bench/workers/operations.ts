// The process of a micro-benchmark: one build of the library, given as a directory, and all cases of a suite in turn.

import { pathToFileURL } from 'node:url'
import { type Load, type Operation, type SuiteName, suites } from '../contestants/operations.ts'
import { answer } from '../harness/child.ts'
import { reason } from '../harness/reason.ts'
import { meterAllocation } from '../harness/usage.ts'

const operations = new Map<
  string,
  { operation: Operation; loop: (count: number) => Promise<unknown>; count: number }
>()
const BATCH_MS = 15

/** A loop of a case's own: shared by all, its call site would turn megamorphic and weigh on every case. */
function loopOf(operation: Operation, async: boolean): (count: number) => Promise<unknown> {
  const body = async
    ? 'return async (count) => { let last; for (let left = count; left > 0; left -= 1) last = await operation(); return last }'
    : 'return async (count) => { let last; for (let left = count; left > 0; left -= 1) last = operation(); return last }'
  return new Function('operation', body)(operation)
}

async function timed(loop: (count: number) => Promise<unknown>, count: number): Promise<number> {
  const before = process.hrtime.bigint()
  await loop(count)
  return Number(process.hrtime.bigint() - before)
}

export interface Ready {
  ids: string[]
  /** What could not be made, and why. */
  failures: Record<string, string>
}

answer({
  /** Loads the build and readies what can be made of it; returns the cases that can run. */
  async setup(options: { suite: SuiteName; dist: string; warmUpMs: number }): Promise<Ready> {
    const { suite, dist, warmUpMs } = options
    const load: Load = (path) => import(new URL(path, `${pathToFileURL(dist).href}/`).href).catch(() => ({}))
    const { cases, libraries: loadLibraries } = await suites[suite]()
    const failures: Record<string, string> = {}
    const libraries = await loadLibraries(load)
    for (const [id, { async, make }] of Object.entries(cases)) {
      let operation: Operation
      try {
        operation = await make(libraries)
        await operation()
      } catch (error) {
        // Another revision may not have it.
        failures[id] = reason(error)
        continue
      }
      const loop = loopOf(operation, async)
      let count = 50
      const until = performance.now() + warmUpMs
      while (performance.now() < until) {
        const ns = await timed(loop, count)
        count = Math.max(20, Math.min(2_000_000, Math.round((count * BATCH_MS * 1e6) / Math.max(ns, 1e4))))
      }
      operations.set(id, { operation, loop, count })
    }
    return { ids: [...operations.keys()], failures }
  },
  /** Nanoseconds per operation, once. */
  async time({ id }: { id: string }): Promise<number> {
    const found = operations.get(id)
    if (!found) throw new Error(`no such case: ${id}`)
    return (await timed(found.loop, found.count)) / found.count
  },
  /** Heap bytes per operation. */
  async allocation({ id }: { id: string }): Promise<number> {
    const found = operations.get(id)
    if (!found) throw new Error(`no such case: ${id}`)
    const { bytes } = await meterAllocation(() => found.loop(found.count))
    return bytes / found.count
  },
})
