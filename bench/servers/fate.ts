// The server of one contestant of the section `fate`: pushes counters and notes those that it handles. It is killed and started again.

import { createServer } from 'node:http'
import type { ServerKind } from '../contestants/fate/contestant.ts'
import { answer } from '../harness/child.ts'
import { talk } from '../harness/counters.ts'
import { openLedger, readLedger } from '../harness/ledger.ts'
import { serverLines } from './fateLines.ts'

const http = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end('{"status":"ok"}')
})
let stop = () => {}

answer({
  listen: ({
    kind,
    port,
    ledger,
    store,
  }: {
    kind: ServerKind
    port: number
    ledger: string
    store: string
  }) =>
    new Promise((resolve) => {
      const from = readLedger(ledger).findLast(({ note }) => note === 'sending')?.n ?? 0
      const note = openLedger(ledger)
      const line = serverLines[kind](http, {
        onMessage: (n) => note('handled', n),
        onTold: (n) => note('told', n),
        storeFile: store,
      })
      stop = talk(
        from,
        note,
        (n) => line.push(n),
        () => line.reachable(),
      )
      http.listen(port, '127.0.0.1', () => {
        const address = http.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    }),
  stop: () => stop(),
})
