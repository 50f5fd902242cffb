import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DocsAssistant } from './docsAssistant.ts'
import { passagesOf } from './passages.ts'
import { cut, readSections } from './sections.ts'
import { identifiersIn, termsOf } from './terms.ts'

const sections = readSections(join(import.meta.dirname, '../../..'))
const assistant = new DocsAssistant({ sections, paceMs: 0 })
const said = async (question: string, signal = new AbortController().signal) => {
  let answer = ''
  for await (const word of assistant.respond({ content: question }, { signal })) answer += word
  return answer
}

describe('the offline assistant', () => {
  it.each([
    ['What happens when the line is cut?', '#what-happens-when-the-line-is-cut', /bounded queue/],
    ['Is a POST ever sent twice?', '#is-a-post-ever-sent-twice', /cannot have acted/],
    ['how does the circuit breaker decide', '#how-does-the-circuit-breaker-decide', /failure\s+rate/],
  ])('%s is answered under that very heading', async (question, anchor, content) => {
    const answer = await said(question)
    expect(answer).toContain(`From docs/questions.md${anchor}`)
    expect(answer).toMatch(content)
  })

  // Which page answers best may change with the pages; what the answer says should not.
  it.each([
    ['what is a hedge?', /second time/],
    ['bulkhead', /at once/],
    ['Which node version is needed?', /Node/],
    ['How do I install it?', /```sh\nnpm install guru-comms\n```/],
    ['How do I send an image?', /10 MB/],
    ['How do I stream audio?', /live audio/i],
    ['what does CIRCUIT_OPEN mean', /failed too often|CircuitBreakerError/],
    ['Can I use it with require()?', /require\(/],
  ])('%s', async (question, content) => {
    const answer = await said(question)
    expect(answer).toMatch(content)
    const [, citation] = /\nFrom ([^\s;]+)/.exec(answer) ?? []
    expect(sections.map((section) => section.citation)).toContain(citation)
  })

  it.each(['What is guru-comms?', 'Hello!', '?', 'thanks'])('says what it is for: %s', async (question) => {
    const answer = await said(question)
    expect(answer).toMatch(/^I answer questions about guru-comms.*One resilient line/)
    expect(answer).toContain('- What happens when the line is cut?')
  })

  it('says when what it found is not quite what was asked', async () => {
    expect(await said('How are errors knitted?')).toMatch(
      /^I found nothing on exactly that. The nearest:\n\n/,
    )
  })

  it('cannot see images, and says so', async () => {
    let answer = ''
    const question = { content: 'bulkhead', image: 'AAAA' }
    for await (const word of assistant.respond(question, { signal: new AbortController().signal }))
      answer += word
    expect(answer).toMatch(/^I cannot see images/)
  })

  it('keeps it short, whatever is asked', () => {
    for (const { title } of sections.filter(({ title }) => termsOf(title).size > 0)) {
      const answer = assistant.answer(title)
      expect(answer.length, title).toBeLessThan(2500)
      expect(answer, title).toMatch(/From [\w/.-]+\.md/)
    }
  })

  it.each(['Who won the world cup in 1954?', 'Write me a poem about spring flowers', 'asdfgh qwertz'])(
    'says honestly that it knows nothing about: %s',
    async (question) => {
      expect(await said(question)).toMatch(/^I found nothing about that/)
    },
  )

  it('stops when it is stopped', async () => {
    const controller = new AbortController()
    controller.abort()
    expect(await said('bulkhead', controller.signal)).toBe('')
  })
})

describe('the passages of a section', () => {
  it('are its paragraphs, items, rows and short examples', () => {
    const body = `Prose with a [link](page.md)
over two lines.

- one
  and on
- two

| option | default | meaning |
|---|---|---|
| \`a\` | 1 | first \\| other |
| \`b\` | | second |

\`\`\`js
one()

two()
\`\`\`

\`\`\`
a drawing
\`\`\`
`
    expect(passagesOf(body)).toEqual([
      { kind: 'prose', text: 'Prose with a link over two lines.', context: '' },
      { kind: 'item', text: '- one and on', context: '' },
      { kind: 'item', text: '- two', context: '' },
      { kind: 'item', text: '- `a`: 1, first | other', context: 'option default meaning' },
      { kind: 'item', text: '- `b`: second', context: 'option default meaning' },
      { kind: 'code', text: '```js\none()\n\ntwo()\n```', context: '' },
    ])
  })
})

describe('terms', () => {
  it.each([
    ['retries', 'retry'],
    ['stopped stopping stops', 'stop'],
    ['policies', 'policy'],
    ['queued', 'queue'],
    ['types', 'type'],
    ['calls', 'call'],
  ])('%s is looked up as %s is', (text, base) => {
    expect([...termsOf(text)]).toEqual([...termsOf(base)])
  })

  it('names of code are known by their parts, and as themselves', () => {
    expect([...termsOf('streamAudio CIRCUIT_OPEN')]).toEqual(['stream', 'audio', 'circuit', 'open'])
    expect(identifiersIn('What do streamAudio and CIRCUIT_OPEN in Node do?')).toEqual([
      'streamAudio',
      'CIRCUIT_OPEN',
    ])
  })
})

describe('cut', () => {
  it('cuts at headings, not in code, and drops what is empty', () => {
    const page = '# Title\n\nIntro.\n\n## Empty\n\n## First part: it\n\ntext\n\n```sh\n# no heading\n```\n'
    expect(cut(page)).toEqual([
      { title: 'Title', anchor: '', body: 'Intro.' },
      { title: 'Title › First part: it', anchor: 'first-part-it', body: 'text\n\n```sh\n# no heading\n```' },
    ])
  })
})
