import { createApp } from 'vue'

import App from './App.vue'
import './styles.css'
import './charts.css'

createApp(App).mount('#app')
