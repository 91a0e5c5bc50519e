"""Django's own RedisCache: django_rediscache.py SOCKET"""

import django
from check import end, socket_path, version
from django.conf import settings

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"unix://{socket_path()}",
        }
    }
)
version(django.__version__)

import django_cases

django_cases.everything()
end()
