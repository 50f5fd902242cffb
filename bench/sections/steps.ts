// Steps of a session: nanoseconds and bytes of what its machines do for a message, without a socket.

import { cases } from '../contestants/steps.ts'
import { barChart } from '../report/charts.ts'
import { figure, table } from '../report/markdown.ts'
import { type Cost, furtherParts, measureOperations, type OperationsData } from './operations.ts'
import type { Section, Telling } from './section.ts'

function tell(data: OperationsData): Telling {
  const ids = Object.keys(cases).filter((id) => data.costs[id])
  const nameOf = (id: string) => cases[id]?.name ?? id
  const chart = barChart({
    title: 'Steps of a session',
    subtitle: 'nanoseconds each; shorter is better; whiskers: least and most',
    // A resume is something else than a message.
    bars: ids
      .filter((id) => !id.startsWith('resume'))
      .map((id) => {
        const { median, min, max } = (data.costs[id] as Cost).ns
        return { label: nameOf(id).replaceAll('`', ''), value: median, min, max, kind: 'ours' }
      }),
    format: (value) => `${figure(value)} ns`,
  })
  const parts = [
    'The machines of `src/session`, as both sides have them: messages of 200 bytes, in memory, without a socket. Heap is what a step ' +
      'allocates; bytes of typed arrays lie outside it.',
    '![Steps of a session](steps.svg)',
    table(
      ['step', 'ns', 'least', 'most', 'heap'],
      ids.map((id) => {
        const { ns, bytes } = data.costs[id] as Cost
        return [nameOf(id), figure(ns.median), figure(ns.min), figure(ns.max), `${Math.round(bytes)} B`]
      }),
    ),
    ...furtherParts(data, cases),
  ]
  return { markdown: parts.join('\n\n'), charts: { steps: chart }, gates: [] }
}

export const steps: Section<OperationsData> = {
  name: 'steps',
  title: 'Steps of a session',
  measure: (context) => measureOperations('steps', context),
  tell,
}
