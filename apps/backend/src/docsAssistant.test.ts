import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DocsAssistant } from './docsAssistant.ts'
import { cut, readSections } from './sections.ts'

const sections = readSections(join(import.meta.dirname, '../../..'))
const assistant = new DocsAssistant({ sections, paceMs: 0 })
const said = async (question: string, signal = new AbortController().signal) => {
  let answer = ''
  for await (const word of assistant.respond({ content: question }, { signal })) answer += word
  return answer
}

describe('the offline assistant', () => {
  it.each([
    [
      'What happens when the line is cut?',
      'docs/questions.md#what-happens-when-the-line-is-cut',
      /bounded queue/,
    ],
    ['Is a POST ever sent twice?', 'docs/questions.md#is-a-post-ever-sent-twice', /cannot have acted/],
    [
      'how does the circuit breaker decide',
      'docs/questions.md#how-does-the-circuit-breaker-decide',
      /failure\s+rate/,
    ],
    ['what is a hedge?', 'docs/policies/hedge.md', /second time/],
    ['bulkhead', 'docs/policies/bulkhead.md', /at once/],
    ['Which node version is needed?', 'ARCHITECTURE.md', /Node/],
  ])('%s', async (question, citation, content) => {
    const answer = await said(question)
    expect(answer).toContain(citation)
    expect(answer).toMatch(content)
  })

  it.each(['Who won the world cup in 1954?', 'Write me a poem about spring flowers', 'asdfgh qwertz', '?'])(
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

describe('cut', () => {
  it('cuts at headings, not in code, and drops what is empty', () => {
    const page = '# Title\n\nIntro.\n\n## Empty\n\n## First part: it\n\ntext\n\n```sh\n# no heading\n```\n'
    expect(cut(page)).toEqual([
      { title: 'Title', anchor: '', body: 'Intro.' },
      { title: 'Title › First part: it', anchor: 'first-part-it', body: 'text\n\n```sh\n# no heading\n```' },
    ])
  })
})
