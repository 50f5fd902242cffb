// Measuring and telling what the sections of micro-benchmarks have in common: nanoseconds and bytes of an operation, and with
// `--compare REV` the same of another revision.

import { fileURLToPath } from 'node:url'
import type { Case, SuiteName } from '../contestants/operations.ts'
import { start } from '../harness/child.ts'
import { type BuiltRevision, buildRevision } from '../harness/revision.ts'
import { median, type Summary, summarize } from '../harness/statistics.ts'
import { spread, table } from '../report/markdown.ts'
import type { Ready } from '../workers/operations.ts'
import type { Context } from './section.ts'

export interface Cost {
  ns: Summary
  bytes: number
}

export interface OperationsData {
  costs: Record<string, Cost>
  /** Absent in figures of earlier days. */
  failures?: Record<string, string>
  /** With `--compare`: time now over time then, round by round, and the bytes then. */
  compared?: { revision: string; ratios: Record<string, Summary>; bytes: Record<string, number> }
}

/** @param always runs whatever contestants are asked for */
export async function measureOperations(
  suite: SuiteName,
  { quick, only, compare, log }: Context,
  always: readonly string[] = [],
): Promise<OperationsData> {
  const rounds = quick ? 5 : 15
  const generations = quick ? 1 : 3
  const warmUpMs = quick ? 60 : 200
  const times = new Map<string, { now: number[]; ratios: number[]; bytes: number[]; bytesThen: number[] }>()
  const other: BuiltRevision | undefined = compare ? buildRevision(compare) : undefined
  const failures: Record<string, string> = {}
  const begin = async (dist: string) => {
    const child = await start(new URL('../workers/operations.ts', import.meta.url))
    const ready = await child.call<Ready>('setup', { suite, dist, warmUpMs })
    return { child, ids: new Set(ready.ids), failures: ready.failures }
  }
  try {
    for (let generation = 0; generation < generations; generation += 1) {
      log(`generation ${generation + 1} of ${generations}`)
      const now = await begin(fileURLToPath(new URL('../../dist', import.meta.url)))
      Object.assign(failures, now.failures)
      const then = other && (await begin(other.dist))
      const ids = [...now.ids].filter((id) => only.length === 0 || only.includes(id) || always.includes(id))
      for (let round = 0; round < rounds; round += 1) {
        for (const id of ids) {
          const kept = times.get(id) ?? { now: [], ratios: [], bytes: [], bytesThen: [] }
          times.set(id, kept)
          const ns = await now.child.call<number>('time', { id })
          kept.now.push(ns)
          if (then?.ids.has(id)) kept.ratios.push(ns / (await then.child.call<number>('time', { id })))
        }
      }
      for (const id of ids) {
        times.get(id)?.bytes.push(await now.child.call<number>('allocation', { id }))
        if (then?.ids.has(id))
          times.get(id)?.bytesThen.push(await then.child.call<number>('allocation', { id }))
      }
      await now.child.stop()
      await then?.child.stop()
    }
  } finally {
    other?.remove()
  }
  const data: OperationsData = { costs: {}, failures }
  for (const [id, { now, bytes }] of times) data.costs[id] = { ns: summarize(now), bytes: median(bytes) }
  if (other) {
    const compared = [...times].filter(([, { ratios }]) => ratios.length)
    data.compared = {
      revision: other.name,
      ratios: Object.fromEntries(compared.map(([id, { ratios }]) => [id, summarize(ratios)])),
      bytes: Object.fromEntries(compared.map(([id, { bytesThen }]) => [id, median(bytesThen)])),
    }
  }
  return data
}

/** What could not run, and what `--compare` showed: nothing, mostly. */
export function furtherParts<Libraries>(
  { compared, costs, failures = {} }: OperationsData,
  cases: Record<string, Case<Libraries>>,
): string[] {
  const failed = Object.entries(failures).map(([id, why]) => `- ${cases[id]?.name ?? id} did not run: ${why}`)
  const parts = failed.length ? [failed.join('\n')] : []
  if (!compared) return parts
  return [
    ...parts,
    `### Against ${compared.revision}`,
    table(
      ['operation', 'time now / then', 'heap now', 'heap then'],
      Object.keys(cases)
        .filter((id) => costs[id] && cases[id]?.kind === 'ours')
        .map((id) => {
          const ratio = compared.ratios[id]
          return [
            cases[id]?.name ?? id,
            ratio ? spread(ratio) : 'new',
            `${Math.round(costs[id]?.bytes ?? Number.NaN)} B`,
            ratio ? `${Math.round(compared.bytes[id] ?? Number.NaN)} B` : '',
          ]
        }),
    ),
  ]
}
