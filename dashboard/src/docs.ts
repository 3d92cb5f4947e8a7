import { createApp } from 'vue'

import DocsView from './views/DocsView.vue'
import './styles.css'
import './docs.css'

createApp(DocsView).mount('#app')
