// Policies: nanoseconds and bytes of one operation when all is well, next to those of the field's libraries,
// and with `--compare REV` next to those of another revision.

import { cases, DEFAULT_STACK } from '../contestants/policies.ts'
import { type Bar, barChart } from '../report/charts.ts'
import { figure, table } from '../report/markdown.ts'
import { type Cost, furtherParts, measureOperations, type OperationsData } from './operations.ts'
import type { Gate, Section, Telling } from './section.ts'

/** What the case costs by itself: an awaited one less what awaiting costs anyway. */
function own(data: OperationsData, id: string, what: 'ns' | 'bytes'): number {
  const read = (name: string) => {
    const cost = data.costs[name]
    return (what === 'ns' ? cost?.ns.median : cost?.bytes) ?? Number.NaN
  }
  return read(id) - (cases[id]?.async ? read('await') : 0)
}

function gates(data: OperationsData): Gate[] {
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

function tell(data: OperationsData): Telling {
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
  parts.push(...furtherParts(data, cases))
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

export const policies: Section<OperationsData> = {
  name: 'policies',
  title: 'Policies',
  measure: (context) => measureOperations('policies', context, ['await']),
  tell,
}
