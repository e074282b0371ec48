/** The documentation site. Its pages are those of docs/, and those that scripts/docs/build.mjs makes from the program itself; both lie in .site/ when it is built. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { slug } from '../../scripts/docs/markdown.mjs'

const site = fileURLToPath(new URL('../../.site', import.meta.url))
const made = `${site}/sidebar.json`
/** Methods, verbs, results and the API, as they were made. */
const generated = existsSync(made) ? JSON.parse(readFileSync(made, 'utf8')) : []

export default defineConfig({
  title: 'Espalier',
  description: 'Train, merge and serve text classifiers with label trees, in TypeScript',
  lang: 'en',
  srcDir: '../.site',
  outDir: '../.site/dist',
  cacheDir: '../.site/cache',
  cleanUrls: false,
  markdown: { anchor: { slugify: slug }, toc: { slugify: slug } },
  vite: { publicDir: false, logLevel: 'warn' },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Quick start', link: '/quick-start' },
      { text: 'Methods', link: '/methods/' },
      { text: 'API', link: '/api/' },
      { text: 'Results', link: '/results/' },
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          { text: 'Overview', link: '/' },
          { text: 'Quick start', link: '/quick-start' },
          { text: 'Concepts', link: '/concepts' },
          { text: 'Recipes', link: '/recipes' },
        ],
      },
      {
        text: 'Coming from',
        items: [
          { text: 'mergekit', link: '/mergekit' },
          { text: 'HiClass', link: '/from-hiclass' },
          { text: 'fastText', link: '/from-fasttext' },
          { text: 'SetFit', link: '/from-setfit' },
        ],
      },
      ...generated,
    ],
  },
})
