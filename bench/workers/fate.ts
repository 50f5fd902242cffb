// The client process of one contestant of the section `fate`.

import { fateContestants } from '../contestants/fate/registry.ts'
import { answer } from '../harness/child.ts'
import { talk } from '../harness/counters.ts'
import { openLedger } from '../harness/ledger.ts'

let opens = 0
let stop = () => {}

answer({
  async begin({ id, origin, ledger }: { id: string; origin: string; ledger: string }) {
    const make = await fateContestants[id]?.load()
    if (!make) throw new Error(`no such contestant: ${id}`)
    const note = openLedger(ledger)
    const contestant = await make(origin, {
      onOpen() {
        opens += 1
      },
      onMessage: (n) => note('handled', n),
      onTold: (n) => note('told', n),
    })
    stop = talk(0, note, (n) => contestant.send(n))
  },
  opens: () => opens,
  stop: () => stop(),
})
