// Memory: the heap that things take while they do nothing.

import { subjects } from '../contestants/memory.ts'
import { start } from '../harness/child.ts'
import { reason } from '../harness/reason.ts'
import { type Summary, summarize } from '../harness/statistics.ts'
import { type Bar, barChart } from '../report/charts.ts'
import { bytes, table } from '../report/markdown.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

export interface MemoryData {
  /** Heap bytes of one, over what its entry says it is over. */
  weights: Record<string, Summary>
  failures: Record<string, string>
}

async function measure({ quick, only, log }: Context): Promise<MemoryData> {
  const data: MemoryData = { weights: {}, failures: {} }
  const server = await start(new URL('../servers/ws.ts', import.meta.url))
  const origin = `ws://127.0.0.1:${await server.call<number>('listen')}`
  for (const [id, { name, over }] of Object.entries(subjects)) {
    if (
      only.length &&
      !only.some((part) => id.startsWith(part)) &&
      !Object.values(subjects).some((subject) => subject.over === id)
    ) {
      continue
    }
    log(name)
    const child = await start(new URL('../workers/memory.ts', import.meta.url), { execArgv: ['--expose-gc'] })
    try {
      const weights = await child.call<number[]>('weigh', { id, origin, batches: quick ? 2 : 5 })
      const under = over ? (data.weights[over]?.median ?? Number.NaN) : 0
      data.weights[id] = summarize(weights.map((weight) => weight - under))
    } catch (error) {
      data.failures[id] = reason(error)
    }
    await child.stop()
  }
  await server.stop()
  return data
}

function gates({ weights }: MemoryData): Gate[] {
  const gate = (figure: string, id: string, must: number, aim: number): Gate => ({
    figure,
    bound: 'max',
    must,
    aim,
    measured: weights[id]?.median ?? Number.NaN,
    unit: 'B',
  })
  return [
    gate('heap of an idle GuruConnection', 'guru-idle', 2048, 1024),
    gate('heap of a connected GuruConnection over raw ws', 'guru-connected', 3072, 1536),
    gate('heap of an ApiClient', 'guru-client', 2560, 1536),
    gate('heap of a queued message over its payload', 'guru-queued', 64, 40),
  ]
}

function tell(data: MemoryData): Telling {
  const groups = [...new Set(Object.values(subjects).map(({ group }) => group))]
  const parts = [
    'Heap after full collections, with thousands of instances and without them, divided by their number; ' +
      'each subject in a process of its own. Memory outside the heap (socket buffers) is not in it.',
  ]
  const charts: Telling['charts'] = {}
  for (const group of groups) {
    const ids = Object.keys(subjects).filter((id) => subjects[id]?.group === group && data.weights[id])
    if (!ids.length) continue
    const bars: Bar[] = ids.map((id) => ({
      label:
        subjects[id]?.name.replace(/, (over|never|made|built|startClosed|autoConnect).*| while down.*/, '') ??
        id,
      value: Math.max(0, data.weights[id]?.median ?? 0),
      kind: subjects[id]?.kind ?? 'peer',
    }))
    const chart = `memory-${group.replaceAll(' ', '-').toLowerCase()}`
    charts[chart] = barChart({
      title: `Heap: ${group}`,
      subtitle: 'bytes each; shorter is better',
      bars: bars.toSorted((a, b) => a.value - b.value),
      format: bytes,
    })
    parts.push(
      `### ${group[0]?.toUpperCase()}${group.slice(1)}`,
      `![${group}](${chart}.svg)`,
      table(
        ['what', 'heap each', 'least', 'most'],
        ids.map((id) => {
          const weight = data.weights[id] as Summary
          return [subjects[id]?.name ?? id, bytes(weight.median), bytes(weight.min), bytes(weight.max)]
        }),
      ),
    )
  }
  const failed = Object.entries(data.failures)
  if (failed.length) {
    parts.push(failed.map(([id, why]) => `- ${subjects[id]?.name ?? id} was not weighed: ${why}`).join('\n'))
  }
  return { markdown: parts.join('\n\n'), charts, gates: gates(data) }
}

export const memory: Section<MemoryData> = { name: 'memory', title: 'Memory', measure, tell }
