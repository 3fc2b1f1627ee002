"""The invented secrets and numbers of every test's configuration."""

APP_SECRET = "an-app-secret"
VERIFY_TOKEN = "a-verify-token"
WHATSAPP_TOKEN = "a-whatsapp-token"
INSTRUCTOR_TOKEN = "an-instructor-token"
MODEL_KEY = "a-model-key"
PHONE_NUMBER_ID = "700100200300"
SECOND_NUMBER_ID = "700100200301"
