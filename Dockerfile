# Airflow with this provider: one image for every Airflow service and for the sandbox (docker-compose.yaml).
FROM apache/airflow:3.3.2

# The base image's user, uid 50000: nothing here needs root.
USER airflow

COPY --chown=airflow:0 pyproject.toml README.md LICENSE /opt/airflow-provider-np6/
COPY --chown=airflow:0 airflow_provider_np6 /opt/airflow-provider-np6/airflow_provider_np6

# Airflow's own version is named again so that pip cannot answer a dependency by another Airflow.
RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" "/opt/airflow-provider-np6[postgres]"

# A new volume takes over the owner of the folder that it is mounted on, or root's where there is none.
RUN install --directory --mode 0775 /tmp/np6
