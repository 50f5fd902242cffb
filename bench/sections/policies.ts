// Policies: nanoseconds and bytes of one operation when all is well, next to those of the field's libraries,
// and with `--compare REV` next to those of another revision.

import { fileURLToPath } from 'node:url'
import { cases, DEFAULT_STACK } from '../contestants/policies.ts'
import { type Child, start } from '../harness/child.ts'
import { type BuiltRevision, buildRevision } from '../harness/revision.ts'
import { median, type Summary, summarize } from '../harness/statistics.ts'
import { type Bar, barChart } from '../report/charts.ts'
import { figure, spread, table } from '../report/markdown.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

interface Cost {
  ns: Summary
  bytes: number
}

export interface PoliciesData {
  costs: Record<string, Cost>
  /** With `--compare`: time now over time then, round by round, and the bytes then. */
  compared?: { revision: string; ratios: Record<string, Summary>; bytes: Record<string, number> }
}

async function measure({ quick, only, compare, log }: Context): Promise<PoliciesData> {
  const rounds = quick ? 5 : 15
  const generations = quick ? 1 : 3
  const warmUpMs = quick ? 60 : 200
  const times = new Map<string, { now: number[]; ratios: number[]; bytes: number[]; bytesThen: number[] }>()
  const other: BuiltRevision | undefined = compare ? buildRevision(compare) : undefined
  const begin = async (dist: string): Promise<{ child: Child; ids: Set<string> }> => {
    const child = await start(new URL('../workers/policies.ts', import.meta.url))
    return { child, ids: new Set(await child.call<string[]>('setup', { dist, warmUpMs })) }
  }
  try {
    for (let generation = 0; generation < generations; generation += 1) {
      log(`generation ${generation + 1} of ${generations}`)
      const now = await begin(fileURLToPath(new URL('../../dist', import.meta.url)))
      const then = other && (await begin(other.dist))
      const ids = [...now.ids].filter((id) => only.length === 0 || only.includes(id) || id === 'await')
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
  const data: PoliciesData = { costs: {} }
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

/** What the case costs by itself: an awaited one less what awaiting costs anyway. */
function own(data: PoliciesData, id: string, what: 'ns' | 'bytes'): number {
  const read = (name: string) => {
    const cost = data.costs[name]
    return (what === 'ns' ? cost?.ns.median : cost?.bytes) ?? Number.NaN
  }
  return read(id) - (cases[id]?.async ? read('await') : 0)
}

function gates(data: PoliciesData): Gate[] {
  const gate = (figure: string, must: number, aim: number, measured: number, unit: string): Gate => ({
    figure,
    bound: 'max',
    must,
    aim,
    measured,
    unit,
  })
  return [
    gate(`${DEFAULT_STACK} around a resolved promise`, 600, 300, own(data, 'stack', 'ns'), 'ns'),
    gate('the same: heap', 900, 500, own(data, 'stack', 'bytes'), 'B'),
  ]
}

function tell(data: PoliciesData): Telling {
  const ids = Object.keys(cases).filter((id) => data.costs[id])
  const parts = [
    'One operation when all is well, over a promise that is resolved already; what `await` itself costs is taken off. ' +
      'One process, one case after the other, round by round.',
    '![Policies](policies.svg)',
    table(
      ['operation', 'ns', 'least', 'most', 'heap'],
      ids.map((id) => {
        const { name, kind } = cases[id] ?? { name: id, kind: 'peer' }
        const { ns } = data.costs[id] as Cost
        return [
          kind === 'ours' ? `**${name}**` : name,
          figure(kind === 'base' ? ns.median : own(data, id, 'ns')),
          figure(ns.min),
          figure(ns.max),
          `${Math.round(kind === 'base' ? (data.costs[id]?.bytes ?? 0) : own(data, id, 'bytes'))} B`,
        ]
      }),
    ),
  ]
  const { compared } = data
  if (compared) {
    parts.push(
      `### Against ${compared.revision}`,
      table(
        ['operation', 'time now / then', 'heap now', 'heap then'],
        ids
          .filter((id) => cases[id]?.kind === 'ours')
          .map((id) => {
            const ratio = compared.ratios[id]
            return [
              cases[id]?.name ?? id,
              ratio ? spread(ratio) : 'new',
              `${Math.round(data.costs[id]?.bytes ?? Number.NaN)} B`,
              ratio ? `${Math.round(compared.bytes[id] ?? Number.NaN)} B` : '',
            ]
          }),
      ),
    )
  }
  const bars: Bar[] = ids
    .filter((id) => id !== 'await' && cases[id]?.async && id !== 'bottleneck')
    .map((id) => ({
      label: cases[id]?.name.replace('circuitBreaker', 'breaker') ?? id,
      value: Math.max(0, own(data, id, 'ns')),
      kind: cases[id]?.kind ?? 'peer',
    }))
  const chart = barChart({
    title: 'A policy around work that succeeds at once',
    subtitle: 'nanoseconds a call over a bare await; shorter is better',
    bars: bars.toSorted((a, b) => a.value - b.value),
    format: (value) => `${figure(value)} ns`,
  })
  return { markdown: parts.join('\n\n'), charts: { policies: chart }, gates: gates(data) }
}

export const policies: Section<PoliciesData> = { name: 'policies', title: 'Policies', measure, tell }
